"""Compiles `millstream/io/proto/*.proto` into one file of descriptors, `descriptors.pb` beside them.

    python tools/compile_protos.py            writes the file
    python tools/compile_protos.py --check    exit code 1 when the file is stale

Needs grpcio-tools, which brings the compiler `protoc`; Millstream itself needs only the result.
"""
from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "millstream" / "io" / "proto"
OUTPUT = SOURCES / "descriptors.pb"


def compile_protos() -> bytes:
    """Returns the descriptors of all sources, each file after those that it imports."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    names = sorted(str(path.relative_to(ROOT)) for path in SOURCES.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "set.pb"
        options = [f"-I{ROOT}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={compiled}"]
        if protoc.main(["protoc", *options, *names]) != 0:
            raise SystemExit("protoc failed; its messages are above.")
        everything = FileDescriptorSet.FromString(compiled.read_bytes())
    # google.protobuf.Any and its like come from the protobuf package when the descriptors are loaded.
    own = [file for file in everything.file if not file.name.startswith("google/")]
    return FileDescriptorSet(file=own).SerializeToString(deterministic=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compiles the .proto files into descriptors.pb.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when stale")
    arguments = parser.parse_args()
    compiled = compile_protos()
    if not arguments.check:
        OUTPUT.write_bytes(compiled)
        return 0
    if OUTPUT.exists() and OUTPUT.read_bytes() == compiled:
        return 0
    print(f"{OUTPUT.relative_to(ROOT)} is stale: run `python tools/compile_protos.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
