"""What pyproject.toml asks for on which platform, and that its parts agree."""
from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]


def requirements(lines) -> dict[str, Requirement]:
    return {item.name: item for item in map(Requirement, lines)}


INSTALLED = requirements(PROJECT["project"]["dependencies"])
OVERRIDES = PROJECT["tool"]["scikit-build"]["overrides"]
BUILD = requirements(line for item in OVERRIDES for line in item.get("build", {}).get("requires", []))


@pytest.mark.parametrize(
    "system, machine, native",
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("darwin", "arm64", False),
        ("darwin", "x86_64", False),
        ("win32", "AMD64", False),
    ],
)
def test_onednn_is_for_linux_on_x86_64(system, machine, native):
    platform = {"sys_platform": system, "platform_machine": machine}
    everything = (*INSTALLED.values(), *requirements(EXTRAS["dev"]).values())
    wanted = {item.name for item in everything if item.marker is None or item.marker.evaluate(platform)}
    assert ("onednn-cpu-gomp" in wanted, "onednn-devel-cpu-gomp" in wanted) == (native, native)


def test_onednn_is_one_version():
    library, headers = INSTALLED["onednn-cpu-gomp"], BUILD["onednn-devel-cpu-gomp"]
    assert library.specifier == headers.specifier == requirements(EXTRAS["dev"])["onednn-devel-cpu-gomp"].specifier


def test_native_kernels_are_built_for_the_oldest_jax():
    oldest = next(part.version for part in INSTALLED["jaxlib"].specifier if part.operator == ">=")
    assert BUILD["jaxlib"].specifier.contains(oldest) and not BUILD["jaxlib"].specifier.contains("0.8.0")


def test_build_needs_nothing_native_elsewhere():
    (override,) = (o for o in OVERRIDES if "build" in o)
    assert override["if"]["platform-system"] == "^linux$" and override["if"]["platform-machine"] == "^x86_64$"
    assert PROJECT["build-system"]["requires"] == ["scikit-build-core>=0.11"]
    assert not PROJECT["tool"]["scikit-build"]["wheel"]["cmake"]
