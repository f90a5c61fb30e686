"""Prints where XLA's headers, oneDNN's headers and oneDNN's library lie: three paths, for CMake.

    python native/find_libraries.py

They belong to the distributions jaxlib, onednn-devel-cpu-gomp and onednn-cpu-gomp of the Python that runs this.
"""
import importlib.metadata
from pathlib import Path


def folder_of(distribution: str, file: str) -> Path:
    """The folder under which an installed distribution has `file`."""
    try:
        files = importlib.metadata.files(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(f"the distribution {distribution} is not installed") from None
    for path in files:
        if path.as_posix().endswith("/" + file):
            return Path(str(path.locate()).removesuffix(file)).resolve()
    raise SystemExit(f"the distribution {distribution} has no file {file}")


def main() -> None:
    xla = folder_of("jaxlib", "xla/ffi/api/ffi.h")
    headers = folder_of("onednn-devel-cpu-gomp", "oneapi/dnnl/dnnl.hpp")
    library = folder_of("onednn-cpu-gomp", "libdnnl.so.3") / "libdnnl.so.3"
    print(xla, headers, library, sep=";")


if __name__ == "__main__":
    main()
