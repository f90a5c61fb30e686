"""Every public function and class takes TensorFlow's parameters: their names, order, kinds and defaults.

`tests/data/signatures.tsv.gz` has TensorFlow's signatures (`tools/api_signatures.py` writes it). A name meets these
tests by being exported.
"""
from __future__ import annotations

import enum
import fnmatch
import gzip
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.core.dtypes import DType
from millstream.public import names

# Signatures that differ on purpose: the names, relative to `tf` ("*" stands for any), and why.
DIFFERENT = {
    "DType dtypes.DType": "made of what one dtype is, not by users",
    "Tensor Operation": "made by graphs, not by users",
    "OpError errors.*": "one class for both versions: 2.x ignores further arguments",
    "import_graph_def graph_util.import_graph_def": "one says that a graph may call Python",
    "*flags.FLAGS": "an object, not a function",
    "types.experimental.ConcreteFunction": "made by functions, not by users",
    "is_variable_initialized": "one can name the operation",
    "keras.regularizers.*": "2.x takes old names of the arguments, which these never had",
    "contrib.layers.scale_gradient": "an object that takes whatever it is called with there",
    "linalg.LinearOperator": "one class for both versions: 1.x lacks the last argument",
    "test.TestCase": "what unittest gives is passed on",
    "config.experimental.*": "one function for both versions: arguments were renamed and added",
}

# Defaults which the table can only hint at: instances of classes, private markers for "not given", objects.
NOT_TEXT = re.compile(r"<.*>|\w+\.\w+|.*SignatureDef.*")

NO_DEFAULT = object()


@pytest.fixture(scope="module")
def tensorflow() -> dict[tuple[int, str], str]:
    path = Path(__file__).parents[1] / "data" / "signatures.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    return {(int(version), name): signature for version, name, signature in rows}


def exported(version: int) -> dict[str, object]:
    """All names of one version's namespaces, but for other versions' namespaces."""
    found: dict[str, object] = {}

    def visit(module: str, prefix: str) -> None:
        namespace = importlib.import_module(module)
        for leaf in namespace.__all__:
            name = prefix + leaf
            if name.startswith(("compat.v", "raw_ops")):
                continue
            if names.is_namespace(version, name):
                visit(f"{module}.{leaf}", name + ".")
            else:
                found[name] = getattr(namespace, leaf)

    visit(f"millstream._api.v{version}", "")
    return found


def split(signature: str) -> list[str]:
    """The parameters of a signature's text, each as "name" or "name=default"."""
    parts, depth, quote = [""], 0, ""
    for character in signature[1:-1]:
        if quote:
            quote = "" if character == quote and not parts[-1].endswith("\\") else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def parameters(target: object) -> Iterator[tuple[str, object]]:
    """Each parameter's name, with stars and separators as in a `def`, and its default."""
    starred = False
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*", NO_DEFAULT
        starred |= parameter.kind is parameter.VAR_POSITIONAL
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        yield stars + parameter.name, NO_DEFAULT if parameter.default is parameter.empty else parameter.default


def as_text(value: object) -> str:
    """A default as the table writes it; lists, which nobody should share, as tuples."""
    if isinstance(value, DType):
        return f"tf.{value.name}"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(as_text, value))})"
    return repr(value)


def agree(ours: object, text: str, version: int) -> bool:
    """Whether a default is TensorFlow's."""
    if as_text(ours) == text.replace("[", "(").replace("]", ")").replace(",)", ")"):
        return True
    if text.startswith("tf."):
        target: object = importlib.import_module(f"millstream._api.v{version}")
        for leaf in text.split(".")[1:]:
            target = getattr(target, leaf)
        return ours is target
    return bool(NOT_TEXT.fullmatch(text)) and not text.replace(".", "").isdigit()


def difference(target: object, signature: str, version: int) -> str | None:
    """Says how the parameters of `target` differ from a signature; None where they agree."""
    theirs = split(signature)
    ours = list(parameters(target))
    if [name for name, _ in ours] != [part.partition("=")[0] for part in theirs]:
        return f"({', '.join(n if d is NO_DEFAULT else f'{n}={as_text(d)}' for n, d in ours)}) is not {signature}"
    for part, (name, default) in zip(theirs, ours, strict=True):
        _, equals, text = part.partition("=")
        if bool(equals) != (default is not NO_DEFAULT) or (equals and not agree(default, text, version)):
            return f"{name}={as_text(default)} is not {text or 'required'}"
    return None


def is_of_absl(target: object) -> bool:
    """Whether an object is another library's, as it is in TensorFlow."""
    module = getattr(target, "__module__", None) or type(target).__module__
    return module.partition(".")[0] == "absl"


@pytest.mark.parametrize("version", [1, 2])
def test_parameters_are_tensorflows(version, tensorflow):
    differing = {
        name: difference(target, tensorflow[version, name], version)
        for name, target in sorted(exported(version).items())
        if (version, name) in tensorflow and callable(target) and not is_of_absl(target)
    }
    allowed = [pattern for patterns in DIFFERENT for pattern in patterns.split()]
    unexpected = [
        f"tf.{name}: {text}"
        for name, text in differing.items()
        if text and not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)
    ]
    assert not unexpected, "\n".join(unexpected)
