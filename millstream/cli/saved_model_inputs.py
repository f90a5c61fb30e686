"""The inputs on the command line of `millstream saved_model run`: arrays in files, expressions, examples."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from millstream.cli.array_expressions import evaluate
from millstream.io import gfile

_FILE = re.compile(r"([^=]+)=([^\[\]]+)(?:\[([^\[\]]+)\])?$")


def read(inputs: str, input_exprs: str, input_examples: str) -> dict[str, Any]:
    """The values by input; expressions count more than files, and examples most.

    Args:
      inputs: `KEY=FILE` or `KEY=FILE[NAME]`, separated by `;`.
      input_exprs: `KEY=EXPRESSION`, separated by `;`.
      input_examples: `KEY=[{feature: [value, ...]}, ...]`, separated by `;`.

    Raises:
      RuntimeError, ValueError: one is malformed, or a file has something else in it.
      OpError: a file cannot be read.
    """
    sources = (("--inputs", _files(inputs)), ("--input_exprs", _expressions(input_exprs)),
               ("--input_examples", _examples(input_examples)))  # fmt: skip
    found: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for flag, values in sources:
        for key, value in values:
            if origin.get(key, flag) != flag:
                print(f"millstream: input_key {key} has been specified with both {origin[key]} and {flag} options. "
                      f"Value in {flag} will be used.", file=sys.stderr)  # fmt: skip
            found[key], origin[key] = value, flag
    return found


def _items(text: str) -> Iterator[str]:
    return filter(None, text.split(";"))


def _pairs(text: str, flag: str, form: str) -> Iterator[tuple[str, str]]:
    """The keys and texts of a flag whose items are `KEY=TEXT`."""
    for item in _items(text):
        key, separator, value = item.partition("=")
        if not separator:
            raise RuntimeError(f'{flag} "{item}" format is incorrect. Please follow "<input_key>={form}"')
        yield key, value


# --- Files -----------------------------------------------------------------------------------------------------------


def _files(text: str) -> Iterator[tuple[str, Any]]:
    for item in _items(text):
        match = _FILE.match(item)
        if match is None:
            raise RuntimeError(
                f'--inputs "{item}" format is incorrect. Please follow "<input_key>=<filename>", or '
                '"<input_key>=<filename>[<variable_name>]"'
            )
        key, filename, name = match.groups()
        yield key, load_array(filename, name)


def load_array(filename: str, name: str | None = None) -> Any:
    """Reads an array from a file of the format .npy or .npz; of several that of a name.

    Raises:
      RuntimeError: there is none of that name, or there are several.
      ValueError: it is another file.
      OpError: it cannot be read.
    """
    import zipfile

    gfile.stat(filename)
    try:
        data = np.load(gfile.local_path(filename), allow_pickle=False)
        if isinstance(data, np.ndarray):
            if name:
                print(f'millstream: Input file {filename} contains a single ndarray. Name key "{name}" ignored.',
                      file=sys.stderr)  # fmt: skip
            return data
        with data:
            return data[_name_in(data.files, filename, name)]
    except (ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        reason = "" if "pickle" in str(error) else f" {error}"  # NumPy says how to unpickle it all the same
        raise ValueError(
            f"Input file {filename} has no array of plain data in the format .npy or .npz; nothing is ever unpickled."
            f"{reason}"
        ) from None


def _name_in(names: list[str], filename: str, name: str | None) -> str:
    if name is not None and name not in names:
        raise RuntimeError(f'Input file {filename} does not contain variable with name "{name}".')
    if name is None and len(names) != 1:
        raise RuntimeError(
            f"Input file {filename} contains more than one ndarrays. Please specify the name of ndarray to use."
        )
    return name or names[0]


# --- Expressions -----------------------------------------------------------------------------------------------------


def _expressions(text: str) -> Iterator[tuple[str, Any]]:
    for key, expression in _pairs(text, "--input_exprs", "<python expression>"):
        yield key, evaluate(expression)


# --- Examples --------------------------------------------------------------------------------------------------------


def _examples(text: str) -> Iterator[tuple[str, Any]]:
    for key, literal in _pairs(text, "--input_examples", "[{feature0:value_list}]"):
        try:
            examples = ast.literal_eval(literal.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise RuntimeError(f'Expression "{literal}" is not a valid python literal.') from None
        if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
            raise ValueError(f"tf.Example input must be a list of dictionaries, but \"{literal}\" is not.")
        yield key, [_example(example) for example in examples]


def _example(features: dict[Any, Any]) -> bytes:
    """A serialized `tf.train.Example`."""
    from millstream.io import proto

    message = proto.Example()
    for name, values in features.items():
        if not isinstance(values, (list, tuple)):
            raise ValueError(f"feature value must be a list, but \"{values}\" is of type {type(values)}")
        _fill(message.features.feature[str(name)], list(values))
    return message.SerializeToString()


def _fill(feature: Any, values: list[Any]) -> None:
    kinds = {type(value) for value in values}
    if kinds <= {str, bytes}:
        feature.bytes_list.value.extend(value.encode() if isinstance(value, str) else value for value in values)
    elif kinds <= {int, bool}:
        feature.int64_list.value.extend(map(int, values))
    elif kinds <= {int, float}:
        feature.float_list.value.extend(values)
    else:
        raise ValueError(f"Type {type(values[0])} for value {values[0]} is not supported for tf.train.Feature.")
