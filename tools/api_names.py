"""Packs the public names of TensorFlow 1.15 and 2.21 into `millstream/public/tf{1,2}_names.txt.gz`.

    python tools/api_names.py            writes both files
    python tools/api_names.py --check    exit code 1 when a file is stale

The source is the API tables `v1_api.tsv`, `v1_contrib_api.tsv` and `v2_api.tsv` (introspected from the real
packages; columns name, kind, ...).  Members of classes are left out: what counts is which name a module has.
"""
from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLES = {1: ("v1_api.tsv", "v1_contrib_api.tsv"), 2: ("v2_api.tsv",)}

# One letter a kind.  An "opaque" namespace exists in TensorFlow, but the tables leave its members out.
LETTERS = {"module": "m", "function": "f", "class": "c", "constant": "v"}
OPAQUE = "o"

# tf.compat of 1.15 has no rows in the tables.
COMPAT = (
    "as_bytes as_str as_str_any as_text bytes_or_text_types complex_types dimension_at_index dimension_value "
    "forward_compatibility_horizon forward_compatible integral_types path_to_str real_types"
).split()

# Nor has this namespace.
NEST = (
    "assert_same_structure assert_shallow_structure flatten flatten_dict_items flatten_up_to is_nested is_sequence "
    "map_structure map_structure_up_to pack_sequence_as"
).split()

OPAQUE_V1 = """
compat.v1 compat.v2 contrib.all_reduce contrib.batching contrib.bayesflow contrib.bigtable
contrib.boosted_trees contrib.cloud contrib.cluster_resolver contrib.compiler
contrib.constrained_optimization contrib.distributions.bijectors contrib.decision_trees contrib.ffmpeg
contrib.fused_conv contrib.grid_rnn contrib.hadoop contrib.hooks contrib.ignite contrib.kafka contrib.keras
contrib.kinesis contrib.labeled_tensor contrib.libsvm contrib.linear_optimizer contrib.meta_graph_transform
contrib.mixed_precision contrib.model_pruning contrib.nearest_neighbor contrib.optimizer_v2
contrib.periodic_resample contrib.proto contrib.quantization contrib.receptive_field contrib.recurrent
contrib.reduce_slice_ops contrib.remote_fused_graph contrib.resampler contrib.rpc contrib.session_bundle
contrib.signal contrib.solvers contrib.sparsemax contrib.specs contrib.stat_summarizer contrib.tensorrt
contrib.testing contrib.text contrib.tfprof contrib.timeseries contrib.tpu examples.tutorials
""".split()
OPAQUE_V2 = (
    "compat.v1 compat.v2 raw_ops tpu mlir lite dtensor experimental.dlpack experimental.numpy "
    "experimental.tensorrt".split()
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 when a file is stale"
    )
    parser.add_argument(
        "--tables", type=Path, default=ROOT.parent / "shared" / "api", help="folder of the tables"
    )
    args = parser.parse_args()
    if not args.tables.is_dir():
        print(f"no API tables at {args.tables}: nothing to do", file=sys.stderr)
        return 0 if args.check else 2
    stale = False
    for version in TABLES:
        text = "".join(f"{name} {letter}\n" for name, letter in sorted(collect(version, args.tables).items()))
        stale |= not put(ROOT / "millstream" / "public" / f"tf{version}_names.txt.gz", text, args.check)
    return 1 if stale else 0


def collect(version: int, tables: Path) -> dict[str, str]:
    """The names of one version, relative to `tf`, with the letter of their kind."""
    rows = [row for table in TABLES[version] for row in read_rows(tables / table)]
    classes = {row.name for row in rows if row.kind == "class"}
    names = {
        row.name: LETTERS[row.kind]
        for row in rows
        if row.kind in LETTERS and row.name and row.name.rpartition(".")[0] not in classes
    }
    if version == 1:
        names.update(dict.fromkeys(("compat", "contrib", "examples"), "m"))
        names.update({f"compat.{name}": "v" if "_types" in name else "f" for name in COMPAT})
        names["contrib.framework.nest"] = "m"
        names.update({f"contrib.framework.nest.{name}": "f" for name in NEST})
    for alias in [row for row in rows if row.kind == "module" and row.alias_of]:
        inside = alias.alias_of + "."
        names.update(
            {alias.name + "." + n[len(inside) :]: k for n, k in names.items() if n.startswith(inside)}
        )
    return names | dict.fromkeys(OPAQUE_V1 if version == 1 else OPAQUE_V2, OPAQUE)


class Row(NamedTuple):
    """One row of a table; both names are relative to `tf`, the root itself has the empty name."""

    name: str
    kind: str
    alias_of: str


def read_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        next(lines)  # the heading
        for line in lines:
            name, kind, _, alias_of = [*line.rstrip("\n").split("\t"), "", "", ""][:4]
            yield Row(relative(name), kind, relative(alias_of))


def relative(name: str) -> str:
    return name.removeprefix("tf").removeprefix(".")


def put(path: Path, text: str, check: bool) -> bool:
    """Writes `text` compressed; with `check` only says whether the file holds just that."""
    if path.exists() and gzip.decompress(path.read_bytes()).decode() == text:
        return True
    if check:
        print(f"{path.relative_to(ROOT)} is stale: run tools/api_names.py", file=sys.stderr)
        return False
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path.relative_to(ROOT)}: {text.count(chr(10))} names, {path.stat().st_size} bytes")
    return True


if __name__ == "__main__":
    sys.exit(main())
