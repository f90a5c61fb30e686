"""Files move between Millstream and TensorFlow 1.15.5 and 2.21, in both directions: the cells of `table.py`.

What real TensorFlow wrote (tools/record_round_trips.py) is read here; what is written here is held to it, and read by
real TensorFlow where there is one. More of each kind of files is in the tests of its area.
"""
from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from oracles import oracle, run_in
from round_trips import goldens, systems, table
from round_trips.contents import contents

import millstream as tf
import millstream.v1 as v1
from millstream.runtime import behavior

ARTEFACTS = table.ARTEFACTS.values()
CELLS = [
    pytest.param(artefact, writer, id=f"{artefact.name}-{writer}")
    for artefact in ARTEFACTS
    for writer in systems.TENSORFLOW
    if writer in artefact.writers
]
SAME = [pytest.param(each, writer, id=f"{each.name}-{writer}") for each in ARTEFACTS for writer in each.same]
_RUN = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that gives the folder in which Millstream has written an artefact."""
    folder = tmp_path_factory.mktemp("written")

    @functools.cache
    def write(artefact: Any) -> Path:
        behavior.use(artefact.version)
        systems.write(artefact, tf, v1, str(folder))
        return folder

    return lambda artefact: write(table.ARTEFACTS[artefact.files_of or artefact.name])


def read_here(artefact: Any, folder: Path) -> Any:
    behavior.use(artefact.version)
    return systems.read(artefact, tf, v1, str(folder))


def check(artefact: Any, reader: str, found: Any, wanted: Any) -> None:
    """What a system read is what was recorded, or the error that the table announces."""
    if reader in artefact.cannot:
        assert artefact.cannot[reader] in found["error"]
    else:
        assert close(found, wanted), f"{found}\n{wanted}"


def close(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(close(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(close, found, wanted))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=2e-5, abs_tol=1e-6)
    return bool(found == wanted)


@functools.cache
def recorded(writer: str) -> dict[str, Any]:
    return goldens.readings(writer)


@pytest.mark.parametrize("artefact, writer", CELLS)
def test_what_tensorflow_wrote_is_read(artefact: Any, writer: str, tmp_path: Path) -> None:
    goldens.unpack(table.ARTEFACTS[artefact.files_of or artefact.name], writer, str(tmp_path))
    check(artefact, "millstream", read_here(artefact, tmp_path), recorded(writer).get(artefact.name))


@pytest.mark.parametrize("artefact, writer", CELLS)
def test_what_is_written_here_says_the_same(artefact: Any, writer: str, written: Any) -> None:
    check(artefact, "millstream", read_here(artefact, written(artefact)), recorded(writer).get(artefact.name))


@pytest.mark.parametrize("artefact, writer", SAME)
def test_the_files_have_the_same_contents(artefact: Any, writer: str, written: Any, tmp_path: Path) -> None:
    goldens.unpack(artefact, writer, str(tmp_path))
    ours, theirs = contents(written(artefact) / artefact.name), contents(tmp_path / artefact.name)
    if writer not in artefact.golden:  # where that has files of other artefacts beside these
        assert ours.keys() == theirs.keys()
    for name in ours.keys() & theirs.keys():
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize("reader", systems.TENSORFLOW)
def test_tensorflow_reads_what_is_written_here(reader: str, written: Any) -> None:
    oracle(reader)
    for artefact in table.written_by("millstream"):
        folder = written(artefact)
    artefacts = table.read_from("millstream")
    names = [each.name for each in artefacts]
    printed = run_in(reader, _RUN, systems.__file__, "read", folder, *names, timeout=300)
    found = json.loads(printed.splitlines()[-1])
    for artefact in artefacts:
        writer = reader if reader in artefact.writers else artefact.writers[1]
        check(artefact, reader, found[artefact.name], recorded(writer).get(artefact.name))
