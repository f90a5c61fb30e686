#!/usr/bin/env python3
"""Records what real TensorFlow computes for the golden cases, in tests/golden/data/.

    PYTHON tools/record_golden.py [--only FAMILY ...] [--show PATTERN] [--check]

PYTHON is an interpreter that has TensorFlow 1.15.5 (Python 3.7), which records the families of graphs, or
TensorFlow 2.21.0, which records those of eager execution.  --show prints the observations of the
cases whose names contain PATTERN and writes nothing; --check writes nothing and exits with 1 if
a recorded case is not what TensorFlow gives now.  tests/golden/README.md tells the whole procedure.
"""
from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import traceback
import warnings

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(REPOSITORY, "tests"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
warnings.simplefilter("ignore")

import tensorflow as tf  # noqa: E402
from golden import compare, observe, spec  # noqa: E402

DATA_FOLDER = os.path.join(REPOSITORY, "tests", "golden", "data")
VERSIONS = {1: "1.15.5", 2: "2.21.0"}
MAJOR = int(tf.__version__.split(".")[0])


def main() -> int:
    families = {family.name: family for family in spec.families(MAJOR)}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=sorted(families), choices=sorted(families), metavar="FAMILY")
    parser.add_argument("--show", metavar="PATTERN")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if tf.__version__ != VERSIONS[MAJOR]:
        parser.error(f"this is TensorFlow {tf.__version__}, the recordings are of {VERSIONS[MAJOR]}")
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.FATAL)
    problems = 0
    for name in options.only:
        problems += record_family(families[name], options.show, options.check)
    return 1 if problems else 0


def record_family(family: spec.Family, pattern: str | None, check: bool) -> int:
    """Observes the family's cases and writes them; returns the number of problems, each printed."""
    cases = [case for case in family.cases.values() if pattern is None or pattern in case.name]
    observed, problems = {}, 0
    for case in cases:
        try:
            seen = record_case(case) if MAJOR == 1 else record_call(case)
            if seen.get("error", "none") is None:
                raise RuntimeError("the case is marked `raises`, but raises nothing")
            observed[case.name] = seen
        except Exception as error:
            problems += 1
            print(f"{case.id} failed, not recorded: {': '.join(observe.describe_error(error))}")
            if pattern is not None:
                traceback.print_exc(file=sys.stdout)
    if pattern is not None:
        for name, seen in observed.items():
            print(name, json.dumps(seen, sort_keys=True, indent=1))
    elif check:
        problems += count_stale(family, observed)
    else:
        write(family.name, observed)
        print(f"{family.name}: {len(observed)} cases")
    return problems


def record_case(case: spec.Case) -> dict:
    """The observation as it is stored: without what the test would not look at."""
    seen = observe.observe(case, tf, session_config())
    if case.nodes is True:
        seen["nodes"] = [telling_attributes(node) for node in seen.get("nodes", [])]
    else:
        seen.pop("nodes", None)
    if "error" in seen:
        seen.pop("nodes", None)
    return {key: value for key, value in seen.items() if value is not None or key == "error"}


def record_call(case: spec.Case) -> dict:
    """The observation of an eager call."""
    from golden import calls  # of today's Python

    seen = calls.observed(case, tf, calls.taped(case, tf, calls.plain(case, tf)), lambda: tf.random.set_seed(None))
    return {key: value for key, value in seen.items() if value is not None or key == "error"}


def session_config() -> tf.ConfigProto:
    """One thread, so that sums and streams are the same everywhere; each op computed by its own kernel."""
    from tensorflow.core.protobuf import rewriter_config_pb2

    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    config.graph_options.rewrite_options.CopyFrom(
        rewriter_config_pb2.RewriterConfig(disable_meta_optimizer=True))
    return config


def telling_attributes(node: list) -> list:
    """The node without attributes that follow from its inputs or have their default values."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get_registered_ops()[node[1]]
    implied = {name for arg in definition.input_arg
               for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    for attr in definition.attr:
        default = observe.describe_attr(attr.default_value) if attr.HasField("default_value") else None
        if default is not None and default == node[3].get(attr.name):
            implied.add(attr.name)
    attributes = {key: value for key, value in node[3].items() if key not in implied}
    return node[:3] + ([attributes] if attributes else [])


def path_of(family: str) -> str:
    return os.path.join(DATA_FOLDER, family + ".json")


def read(family: str) -> dict:
    if not os.path.exists(path_of(family)):
        return {}
    with open(path_of(family), encoding="utf-8") as file:
        return json.load(file)["cases"]


def write(family: str, observed: dict) -> None:
    """One case a line, in the order of the module; an unchanged recording keeps its date."""
    if json.dumps(read(family)) == json.dumps(json.loads(json.dumps(observed))):
        return
    lines = [json.dumps(name) + ": " + json.dumps(seen, sort_keys=True, separators=(",", ":"))
             for name, seen in observed.items()]
    header = f'"tensorflow": "{tf.__version__}", "recorded": "{datetime.date.today()}"'
    with open(path_of(family), "w", encoding="utf-8") as file:
        file.write("{" + header + ', "cases": {\n' + ",\n".join(lines) + "\n}}\n")


def count_stale(family: spec.Family, observed: dict) -> int:
    """Prints the cases whose recording is missing or differs."""
    recorded, stale = read(family.name), 0
    for name, seen in observed.items():
        fresh = json.loads(json.dumps(seen))
        differences = compare.differences if MAJOR == 1 else compare.differences_of_calls
        case = family.cases[name]
        if case.message is not None:  # which tells of ours
            case = case._replace(message="")
        found = differences(case, recorded[name], fresh) if name in recorded else ["not recorded"]
        stale += bool(found)
        for text in found:
            print(f"{family.name}/{name}: {text}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
