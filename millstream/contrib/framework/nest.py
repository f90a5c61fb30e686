"""`tf.contrib.framework.nest`: the functions of structures, under their older names."""
from __future__ import annotations

from millstream.core.export import export_value

_NAMES = (
    "assert_same_structure", "assert_shallow_structure", "flatten", "flatten_dict_items", "flatten_up_to", "is_nested",
    "map_structure", "map_structure_up_to", "pack_sequence_as",
)  # fmt: skip

for _name in _NAMES:
    export_value("millstream.core.nest", _name, v1=[f"contrib.framework.nest.{_name}"])
export_value("millstream.core.nest", "is_nested", v1=["contrib.framework.nest.is_sequence"])
