"""What operations of a graph from a file may do: none of them runs Python code or reaches files by itself.

A model is data, and loading or running one must not do what its author wants with the files of whoever runs it. So

* operations that run Python code, open files or connections of their own choice are refused when a graph is imported;
* operations that take the name of a file as an input, as those of a saver do, are imported, and run only where that
  name comes from the program: fed, or made by an operation or passed by a call that is not of the file
  (`runtime/file_names.py`).

Who loads a model with files of its own, as SavedModels have assets, gives the operations the paths where these are now:
feeds them (`session.run(init_op, {asset_tensor: path})`), or has functions capture them as eager tensors. Texts that
such a loader reads from the file itself are `FileTensor`s (`core/eager.py`), which do not count as the program's.

`import_graph_def(..., allow_python=True)` and `MILLSTREAM_TRUST_GRAPHS=1` lift both.
"""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from millstream.core import errors

# Operations that may be imported, with the inputs that are names of files.
FILE_NAMES: Mapping[str, tuple[str, ...]] = {
    "SaveV2": ("prefix",),
    "RestoreV2": ("prefix",),
    "MergeV2Checkpoints": ("checkpoint_prefixes", "destination_prefix"),
    "Save": ("filename",),
    "SaveSlices": ("filename",),
    "Restore": ("file_pattern",),
    "RestoreSlice": ("file_pattern",),
    "InitializeTableFromTextFile": ("filename",),
    "InitializeTableFromTextFileV2": ("filename",),
    "ReadFile": ("filename",),
}
_REFUSED = {
    "runs Python code": "PyFunc PyFuncStateless EagerPyFunc GeneratorDataset",
    "reads files": """
        MatchingFiles WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader
        TFRecordReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 LMDBReader RecordInput ImmutableConst
        LoadAndRemapMatrix GenerateVocabRemapping TextLineDataset TFRecordDataset TFRecordDatasetV2
        FixedLengthRecordDataset FixedLengthRecordDatasetV2 MatchingFilesDataset ExperimentalMatchingFilesDataset
        LMDBDataset ExperimentalLMDBDataset CSVDataset CSVDatasetV2 ExperimentalCSVDataset SqlDataset
        ExperimentalSqlDataset LoadDataset InitializeTableFromDataset CheckpointHasKey""",
    "writes to files": """
        WriteFile CreateSummaryFileWriter CreateSummaryDbWriter DatasetToTFRecord ExperimentalDatasetToTFRecord
        SnapshotDataset SnapshotDatasetV2 SaveDataset SaveDatasetV2 CacheDataset CacheDatasetV2""",
    "opens connections": "Rpc TryRpc BigQueryReader RegisterDataset DataServiceDataset DataServiceDatasetV2",
}
_REASONS = {op_type: reason for reason, types in _REFUSED.items() for op_type in types.split()}
# Attributes that name files, with what they are where they name none.
_FILE_ATTRS = {
    ("FixedUnigramCandidateSampler", "vocab_file"): "",
    ("DecodeProtoV2", "descriptor_source"): "local://",
    ("EncodeProto", "descriptor_source"): "local://",
}
_MAY_NAME_FILES = frozenset(("PrintV2", *(op_type for op_type, _ in _FILE_ATTRS)))
_DEBUG = "Debug"  # what operations of the debugger begin with, which write to files and connections


def graphs_are_trusted() -> bool:
    """Whether the environment says that graphs of files may do everything: `MILLSTREAM_TRUST_GRAPHS=1`."""
    return os.environ.get("MILLSTREAM_TRUST_GRAPHS", "") not in ("", "0")


def refusal(op_type: str, runs_python: bool, attrs: Mapping[str, Any]) -> str | None:
    """What an operation of a file would do that it may not; None where it may be imported."""
    reason = "runs Python code" if runs_python else _REASONS.get(op_type)
    if reason is not None:
        return reason
    if op_type in _MAY_NAME_FILES or op_type.startswith(_DEBUG):
        for name, value in attrs.items():
            harmless = _FILE_ATTRS.get((op_type, name))
            texts = [item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, str)]
            named = [text for text in texts if "://" in text and text != harmless]
            if named or (harmless is not None and value != harmless):
                return f"writes to {named[0]}" if named and harmless is None else f"reads {value}"
    return None


def refuse(name: str, op_type: str, reason: str) -> errors.PermissionDeniedError:
    """The error of an import."""
    return errors.PermissionDeniedError(
        None, None, f"Node '{name}' (op: '{op_type}') {reason}, which graphs from files may not. If you trust where "
        "the graph comes from, pass allow_python=True to import_graph_def or import_meta_graph, or set "
        "MILLSTREAM_TRUST_GRAPHS=1."
    )  # fmt: skip
