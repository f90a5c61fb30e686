"""Compares an observation with the recorded one and says in words what differs."""
from __future__ import annotations

import difflib
import math
import re
from typing import Any

import numpy as np

from .spec import Case

# Epsilon, and the size below which errors count as if the number were this large: float32 results below
# the smallest normal number may be flushed to zero.
PRECISION = {
    "bfloat16": (2.0**-7, 1e-30),
    "float16": (2.0**-10, 6e-5),
    "float32": (2.0**-23, 1e-30),
    "float64": (2.0**-52, 1e-290),
    "complex64": (2.0**-23, 1e-30),
    "complex128": (2.0**-52, 1e-290),
}


def differences(case: Case, expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """One message a difference; an empty list if the observations agree."""
    if "error" in expected or "error" in actual:
        return compare_errors(case, expected.get("error"), actual.get("error"))
    found = []
    if case.nodes is True:
        found += compare_nodes(expected["nodes"], actual["nodes"])
    found += compare_tensors(case, expected["tensors"], actual["tensors"])
    for key in ("unknown_dims", "unknown_rank"):
        if key in expected:
            found += compare_unknown(key, expected[key], actual.get(key))
    if len(expected["runs"]) != len(actual["runs"]):
        found.append(f"{len(expected['runs'])} runs expected, got {len(actual['runs'])}")
    for i in range(min(len(expected["runs"]), len(actual["runs"]))):
        found += compare_values(case, f"run {i}", expected["runs"][i], actual["runs"][i])
    found += compare_gradients(case, expected.get("gradients"), actual.get("gradients"))
    if expected.get("stderr") != actual.get("stderr"):
        found.append(f"stderr: expected {expected.get('stderr')!r}, got {actual.get('stderr')!r}")
    return found


def compare_errors(case: Case, expected: Any, actual: Any) -> list[str]:
    """Class and stage must be the same, and our message must begin with TensorFlow's first sentence."""
    if expected is None or actual is None:
        return [f"expected the error {expected}, got {actual}"]
    found = []
    if expected[0] != actual[0] or expected[2:] != actual[2:]:
        found.append(f"expected {expected[0]} {expected[2:]}, got {actual[0]} {actual[2:]}: {actual[1]}")
    sentence = first_sentence(expected[1]) if case.message is None else case.message
    if not actual[1].startswith(sentence):
        found.append(f"expected a message that begins\n    {sentence}\n  got\n    {actual[1]}")
    return found


def first_sentence(message: str) -> str:
    return re.split(r"\.(?:\s|$)| and with (?:computed )?input tensors", message, maxsplit=1)[0]


def compare_nodes(expected: list, actual: list) -> list[str]:
    wanted, got = ([node_text(node) for node in nodes] for nodes in (expected, actual))
    if wanted != got:
        diff = list(difflib.unified_diff(wanted, got, "TensorFlow", "Millstream", lineterm="", n=100))
        return ["nodes:\n    " + "\n    ".join(diff)]
    found = []
    for i, node in enumerate(expected):
        attributes = actual[i][3] if len(actual[i]) > 3 else {}
        for key, value in (node[3] if len(node) > 3 else {}).items():
            if not same_data(attributes.get(key), value):
                found.append(f"node {node[0]!r}: attribute {key} expected {value}, got {attributes.get(key)}")
    return found


def node_text(node: list) -> str:
    return f"{node[0]} = {node[1]}({', '.join(node[2])})"


def same_data(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b))
    return a == b


def compare_tensors(case: Case, expected: dict, actual: dict) -> list[str]:
    found = compare_paths("tensors", expected, actual)
    for path in sorted(set(expected) & set(actual)):
        labels = ["dtype", "static shape"] + (["name"] if case.nodes is True else [])
        for i, label in enumerate(labels):
            if expected[path][i] != actual[path][i]:
                found.append(f"{path}: {label} expected {expected[path][i]}, got {actual[path][i]}")
    return found


def compare_unknown(key: str, expected: Any, actual: Any) -> list[str]:
    """Both are shapes by path, left out where equal to the fully known one, or both an error."""
    if isinstance(expected, list) and isinstance(actual, list):
        return [] if expected[0] == actual[0] else [f"{key}: expected {expected}, got {actual}"]
    if not (isinstance(expected, dict) and isinstance(actual, dict)):
        return [f"{key}: expected {expected}, got {actual}"]
    known = "as when known"
    return [f"{key}: {path}: static shape expected {expected.get(path, known)}, got {actual.get(path, known)}"
            for path in sorted(set(expected) | set(actual))
            if expected.get(path, known) != actual.get(path, known)]


def compare_gradients(case: Case, expected: Any, actual: Any) -> list[str]:
    if isinstance(expected, list) and isinstance(actual, list):
        return [f"gradients: {text}" for text in compare_errors(case, expected, actual)]
    if isinstance(expected, dict) and isinstance(actual, dict):
        return compare_values(case, "gradient", expected, actual)
    return [] if expected == actual else [f"gradients: expected {expected}, got {actual}"]


def differences_of_calls(case: Case, expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """The same of eager calls."""
    if "error" in expected or "error" in actual:
        return compare_errors(case, expected.get("error"), actual.get("error"))
    return compare_calls(case, expected, actual)


def compare_calls(case: Case, expected: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Compares what calls gave. Of errors of gradients only the class: operations are named otherwise in each mode."""
    found = []
    if len(expected["runs"]) != len(seen["runs"]):
        found.append(f"{len(expected['runs'])} runs expected, got {len(seen['runs'])}")
    for i in range(min(len(expected["runs"]), len(seen["runs"]))):
        found += compare_values(case, f"run {i}", expected["runs"][i], seen["runs"][i])
    wanted, got = expected.get("gradients"), seen.get("gradients")
    if not (isinstance(wanted, list) and isinstance(got, list) and wanted[0] == got[0]):
        found += compare_gradients(case, wanted, got)
    if expected.get("stderr") != seen.get("stderr"):
        found.append(f"stderr: expected {expected.get('stderr')!r}, got {seen.get('stderr')!r}")
    return found


def compare_values(case: Case, where: str, expected: dict, actual: dict) -> list[str]:
    found = compare_paths(where, expected, actual)
    for path in sorted(set(expected) & set(actual)):
        message = compare_value(case, expected[path], actual[path])
        if message:
            found.append(f"{where}: {path}: {message}")
    return found


def compare_paths(where: str, expected: dict, actual: dict) -> list[str]:
    if set(expected) == set(actual):
        return []
    return [f"{where}: expected {sorted(expected)}, got {sorted(actual)}"]


def compare_value(case: Case, expected: Any, actual: Any) -> str | None:
    """What is wrong with one value as `encode` describes it, or None."""
    if not (isinstance(expected, list) and isinstance(actual, list)):
        return None if expected == actual else f"expected {expected!r}, got {actual!r}"
    if expected[:2] != actual[:2]:
        return f"expected dtype and shape {expected[:2]}, got {actual[:2]}"
    wanted, got = expected[2], actual[2]
    if isinstance(wanted, dict) and wanted["crc32"] == got["crc32"]:
        return None  # the very same bits; the sums depend on the version of NumPy
    if expected[0] not in PRECISION or case.ulps == 0:
        numeric = expected[0] in PRECISION and isinstance(wanted, list)
        same = same_numbers(np.array(wanted), np.array(got)) if numeric else wanted == got
        return None if same else f"expected exactly {wanted}, got {got}"
    if isinstance(wanted, dict):
        ends = [compare_floats(case, expected[0], wanted[key], got[key]) for key in ("first", "last")]
        if not same_sums(wanted["sums"], got["sums"], case.ulps * PRECISION[expected[0]][0]):
            ends.append(f"expected the sums {wanted['sums']}, got {got['sums']}")
        return next((message for message in ends if message), None)
    return compare_floats(case, expected[0], wanted, got)


def same_numbers(wanted: np.ndarray, got: np.ndarray) -> bool:
    """Equal, where NaN equals NaN and 0.0 equals -0.0."""
    return wanted.shape == got.shape and bool(np.all((wanted == got) | ((wanted != wanted) & (got != got))))


def same_sums(wanted: list, got: list, relative: float) -> bool:
    return all(abs(wanted[i] - got[i]) <= relative * (abs(wanted[1]) + 1e-30) for i in range(len(wanted)))


def compare_floats(case: Case, dtype: str, wanted: list, got: list) -> str | None:
    if not wanted:
        return None
    want, have = (np.array(x, float) for x in (wanted, got))
    if dtype.startswith("complex"):
        want, have = (x[:, 0] + 1j * x[:, 1] for x in (want, have))
    epsilon, floor = PRECISION[dtype]
    finite = np.isfinite(want)
    if not same_numbers(want[~finite], have[~finite]):
        return f"expected {wanted}, got {got}"
    size = np.abs(np.where(finite, want, 0))
    if case.near == "max":
        floor = max(floor, float(np.max(size)))
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs(have - want), 0) / (epsilon * np.maximum(size, floor))
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    if error[worst] <= case.ulps:
        return None
    return (f"element {worst} expected {wanted[worst]!r}, got {got[worst]!r}: off by {error[worst]:.3g} ulp "
            f"of {dtype}, {case.ulps:g} allowed\n    expected {wanted}\n    got      {got}")
