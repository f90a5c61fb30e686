"""Which TensorFlow the two namespaces stand for: `tf.version` and its older names."""
from __future__ import annotations

from millstream.core.export import export_value

VERSIONS = {1: "1.15.5", 2: "2.21.0"}

VERSION_1, VERSION_2 = VERSIONS[1], VERSIONS[2]
GIT_VERSION_1, GIT_VERSION_2 = (f"v{version}-millstream" for version in VERSIONS.values())
COMPILER_VERSION = "XLA"
CXX11_ABI_FLAG = 1
MONOLITHIC_BUILD = 0
# The GraphDef format's number: written to `GraphDef.versions.producer`.
GRAPH_DEF_VERSION_1, GRAPH_DEF_VERSION_2 = 134, 2474
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0

for _version in (1, 2):
    for _name in ("VERSION", "GIT_VERSION", "GRAPH_DEF_VERSION"):
        _public = [f"version.{_name}", *([_name] if _version == 1 else [])]
        export_value(__name__, f"{_name}_{_version}", **{f"v{_version}": _public})
export_value(__name__, "COMPILER_VERSION", "version.COMPILER_VERSION", v1=["COMPILER_VERSION"])
for _name in ("CXX11_ABI_FLAG", "MONOLITHIC_BUILD"):
    export_value(__name__, _name, f"sysconfig.{_name}", v1=[_name])
for _name in ("GRAPH_DEF_VERSION_MIN_CONSUMER", "GRAPH_DEF_VERSION_MIN_PRODUCER"):
    export_value(__name__, _name, f"version.{_name}", v1=[_name])
