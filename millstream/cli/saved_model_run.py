"""`millstream saved_model run`: feeds a signature with arrays and prints what comes out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from millstream.cli import saved_model_inputs
from millstream.core.graph import Graph
from millstream.runtime import behavior
from millstream.runtime.session import Session
from millstream.saved_model import inspection
from millstream.saved_model.loader import SavedModelLoader
from millstream.saved_model.tensor_info import get_tensor_from_tensor_info


def run_signature(arguments: argparse.Namespace) -> int:
    """Runs the signature that the command line asks for. Returns the exit code."""
    loader = SavedModelLoader(arguments.dir)
    meta_graph = inspection.find_by_tag_set(loader.saved_model, arguments.tag_set)
    signature = inspection.get_signature_def(meta_graph, arguments.signature_def)
    given = (arguments.inputs, arguments.input_exprs, arguments.input_examples)
    if signature.inputs and not any(given):
        raise ValueError("At least one of --inputs, --input_exprs or --input_examples must be required")
    values = saved_model_inputs.read(*given)
    known = '", "'.join(sorted(signature.inputs))
    for key in values:
        if key not in signature.inputs:
            raise ValueError(f'"{key}" is not a valid input key. Please choose from "{known}", or use --show option.')
    behavior.use(1)
    results = _run(loader, list(meta_graph.meta_info_def.tags), signature, values)
    for key in sorted(results):
        print(f"Result for output key {key}:\n{results[key]}")
        if arguments.outdir:
            _save(arguments.outdir, key, results[key], arguments.overwrite)
    return 0


def _run(loader: SavedModelLoader, tags: list[str], signature: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    with Graph().as_default() as graph, Session(graph=graph) as session:
        loader.load(session, tags)
        feeds = {get_tensor_from_tensor_info(signature.inputs[key]): value for key, value in values.items()}
        fetches = {key: get_tensor_from_tensor_info(info) for key, info in signature.outputs.items() if info.dtype}
        return session.run(fetches, feeds)


def _save(folder: str, key: str, value: Any, overwrite: bool) -> None:
    """Writes an output to `KEY.npy`."""
    if not isinstance(value, (np.ndarray, np.generic, bytes)):
        raise RuntimeError(f"Output {key} is no array and cannot be saved.")
    if os.path.basename(key) != key:
        raise RuntimeError(f"Output {key!r} cannot be saved under its name.")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{key}.npy")
    if os.path.exists(path) and not overwrite:
        raise RuntimeError(
            f'Output file {path} already exists. Add "--overwrite" to overwrite the existing output files.'
        )
    array = np.asarray(value)
    if array.dtype == object:  # strings, which as objects could only be pickled
        array = array.astype(bytes)
    np.save(path, array, allow_pickle=False)
    print(f"Output {key} is saved to {path}")
