"""Records the files of the round trips in `tests/round_trips/data/`, and what TensorFlow reads of them.

    python tools/record_round_trips.py      with the Python of an environment that has TensorFlow 1.15.5, or 2.21.0

Each version records `tf1.json` or `tf2.json`, what it reads by artefact, and a folder with a zip file for each artefact
that is not recorded by another tool. `tests/round_trips/` reads them, and holds Millstream's own files to them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = os.path.join(ROOT, "tests")
sys.path.insert(0, TESTS)

from round_trips import goldens, table  # noqa: E402 - found by the line above

PROGRAM = os.path.join(TESTS, "round_trips", "systems.py")


def run(action, folder, names):
    command = [sys.executable, "-W", "ignore", PROGRAM, action, folder] + names
    return json.loads(subprocess.check_output(command).splitlines()[-1])


def main():
    import tensorflow

    system = "tf" + tensorflow.__version__[0]
    shutil.rmtree(goldens.folder_of(system), ignore_errors=True)
    os.makedirs(goldens.folder_of(system))
    folder = tempfile.mkdtemp()
    run("write", folder, [each.name for each in table.written_by(system) if system not in each.golden])
    for artefact in table.written_by(system):
        if system in artefact.golden:
            goldens.unpack(artefact, system, folder)
        else:
            pack(os.path.join(folder, artefact.name), goldens.path_of(artefact, system))
    names = sorted(each.name for each in table.read_from(system) if system not in each.cannot)
    readings = run("read", folder, names)
    with open(goldens.folder_of(system) + ".json", "w") as file:
        lines = [f"{json.dumps(name)}: {json.dumps(readings[name], sort_keys=True)}" for name in names]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    shutil.rmtree(folder)


def pack(folder, path):
    """A zip file whose bytes depend on nothing but the files."""
    with zipfile.ZipFile(path, "w") as archive:
        for parent, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                member = os.path.relpath(os.path.join(parent, name), folder).replace(socket.gethostname(), "host")
                with open(os.path.join(parent, name), "rb") as file:
                    information = zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0))
                    archive.writestr(information, file.read(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
