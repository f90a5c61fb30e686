"""The files that real TensorFlow wrote (tools/record_round_trips.py). For Python 3.7 and newer."""
import json
import os
import shutil
import zipfile

_HERE = os.path.dirname(os.path.abspath(__file__))


def folder_of(system):
    return os.path.join(_HERE, "data", system)


def path_of(artefact, system):
    """The zip file of an artefact, or the file or folder that another tool recorded."""
    if system in artefact.golden:
        return os.path.join(os.path.dirname(_HERE), artefact.golden[system])
    return os.path.join(folder_of(system), artefact.name + ".zip")


def unpack(artefact, system, folder):
    """Puts the files of an artefact into a folder of its name."""
    path, folder = path_of(artefact, system), os.path.join(folder, artefact.name)
    if os.path.isdir(path):
        shutil.copytree(path, folder)
    elif path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    else:
        os.makedirs(folder)
        shutil.copy(path, folder)


def readings(system):
    """What a system reads of its own files, by artefact."""
    with open(folder_of(system) + ".json") as file:
        return json.load(file)
