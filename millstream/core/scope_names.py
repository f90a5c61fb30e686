"""Names of graph elements when parts of a graph move in or out of a name scope (export and import)."""

from __future__ import annotations

from millstream.core.export import export

# What may stand before a name: a control input's mark, or the mark of a colocation group.
_MARKS = ("^", "loc:@")


@export(v1=["contrib.framework.prepend_name_scope"])
def prepend_name_scope(name: str, import_scope: str | None) -> str:
    """`name` under `import_scope`: `"^a"` in `"s"` is `"^s/a"`."""
    if not import_scope:
        return name
    mark, rest = _split_mark(name)
    return f"{mark}{import_scope.rstrip('/')}/{rest}"


@export(v1=["contrib.framework.strip_name_scope"])
def strip_name_scope(name: str, export_scope: str | None) -> str:
    """`name` without `export_scope/`; unchanged where it is not in that scope."""
    if not export_scope:
        return name
    mark, rest = _split_mark(name)
    return mark + rest.removeprefix(export_scope.rstrip("/") + "/")


def _split_mark(name: str) -> tuple[str, str]:
    for mark in _MARKS:
        if name.startswith(mark):
            return mark, name[len(mark) :]
    return "", name
