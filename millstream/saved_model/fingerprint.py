"""`fingerprint.pb`: hashes by which programs know a SavedModel again."""
from __future__ import annotations

import hashlib
import os
from typing import Any

from millstream.core.export import export
from millstream.io import gfile, proto
from millstream.io.atomic_files import write_file

FILENAME = "fingerprint.pb"
_PRODUCER = 4  # the version of the file's format
_HASHES = (
    "saved_model_checksum",
    "graph_def_program_hash",
    "signature_def_hash",
    "saved_object_graph_hash",
    "checkpoint_hash",
)


@export(v2=["saved_model.experimental.Fingerprint"])
class Fingerprint:
    """The hashes of a SavedModel: of the whole, its graph, its signatures, its objects and its variables.

    Models of equal parts have equal hashes where the same program saved them; TensorFlow computes others.

    Args:
      saved_model_checksum, graph_def_program_hash, signature_def_hash, saved_object_graph_hash, checkpoint_hash: the
        hashes, 64-bit integers.
      version: the version of the format.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        saved_model_checksum: int | None = None,
        graph_def_program_hash: int | None = None,
        signature_def_hash: int | None = None,
        saved_object_graph_hash: int | None = None,
        checkpoint_hash: int | None = None,
        version: Any = None,
    ) -> None:
        self.saved_model_checksum = saved_model_checksum
        self.graph_def_program_hash = graph_def_program_hash
        self.signature_def_hash = signature_def_hash
        self.saved_object_graph_hash = saved_object_graph_hash
        self.checkpoint_hash = checkpoint_hash
        self.version = version

    @classmethod
    def from_proto(cls, proto: Any) -> Fingerprint:
        """The fingerprint of a `FingerprintDef`."""
        return cls(**{name: getattr(proto, name) for name in _HASHES}, version=proto.version)

    def singleprint(self) -> str:
        """One text that differs where graph, signatures, objects or variables do: the four hashes, with `/` between.

        Raises:
          ValueError: a hash is missing.
        """
        values = {name: getattr(self, name) for name in _HASHES[1:]}
        if any(not isinstance(value, int) for value in values.values()):
            listed = ", ".join(f"{name}: {value}" for name, value in values.items())
            raise ValueError(f"Encounted invalid fingerprint values when constructing singleprint. {listed}")
        return "/".join(map(str, values.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and all(
            getattr(self, name) == getattr(other, name) for name in _HASHES
        )

    def __str__(self) -> str:
        return "\n  ".join(["SavedModel Fingerprint", *(f"{name}: {getattr(self, name)}" for name in _HASHES)])

    def __repr__(self) -> str:
        return f"Fingerprint({', '.join(str(getattr(self, name)) for name in _HASHES)})"


@export(v2=["saved_model.experimental.read_fingerprint"])
def read_fingerprint(export_dir: Any) -> Fingerprint:
    """The fingerprint of the SavedModel in a folder.

    Raises:
      FileNotFoundError: there is none.
      RuntimeError: it cannot be read.
    """
    from google.protobuf.message import DecodeError

    path = os.path.join(os.fspath(export_dir), FILENAME)
    try:
        with open(gfile.local_path(path), "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"SavedModel Fingerprint Error: Could not find fingerprint in directory: {export_dir}\n"
            f"NOT_FOUND: {path} not found"
        ) from None
    try:
        return Fingerprint.from_proto(proto.FingerprintDef.FromString(content))
    except DecodeError:
        raise RuntimeError(f"SavedModel Fingerprint Error: {path} is no fingerprint") from None


def write_fingerprint(export_dir: str, meta_graph: Any, saved_model: bytes, index: bytes) -> None:
    """Writes the fingerprint of a model.

    Args:
      export_dir: the model's folder.
      meta_graph: its `MetaGraphDef`.
      saved_model: the content of `saved_model.pb`.
      index: the content of the index of its variables.
    """
    from millstream.ops.farm_hash import fingerprint64

    signatures = b"".join(
        key.encode() + meta_graph.signature_def[key].SerializeToString(deterministic=True)
        for key in sorted(meta_graph.signature_def)
    )
    message = proto.FingerprintDef(
        saved_model_checksum=_hash(saved_model),
        graph_def_program_hash=_hash(meta_graph.graph_def.SerializeToString(deterministic=True)),
        signature_def_hash=_hash(signatures),
        saved_object_graph_hash=_hash(meta_graph.object_graph_def.SerializeToString(deterministic=True)),
        checkpoint_hash=fingerprint64(index),
    )
    message.version.producer = _PRODUCER
    write_file(os.path.join(export_dir, FILENAME), message.SerializeToString(deterministic=True))


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
