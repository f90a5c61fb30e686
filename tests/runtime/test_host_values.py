"""What saves and restores runs on the host, without a program; what computes does not."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.runtime.plan import check_plan, make_plan


def stages(graph: Any, *wanted: str) -> list[str]:
    """The operations of the stages that would be compiled."""
    fed = [graph.get_tensor_by_name("save/Const:0")]
    plan = make_plan(graph, [], [graph.get_operation_by_name(name) for name in wanted], fed)
    check_plan(plan)
    return [op.type for step in plan.steps if not step.is_host for op in step.ops]


@pytest.mark.parametrize("resource", [False, True])
def test_nothing_is_compiled(resource: bool) -> None:
    with tf.Graph().as_default() as graph:
        v = tf.get_variable("v", [2], use_resource=resource)
        tf.train.Saver({"w": v}, reshape=True)
        for name in ("save/restore_all", "save/control_dependency"):
            made = set(stages(graph, name)) - {"Const", "NoOp", "VariableV2", "VarHandleOp", "Identity"}
            assert not made & {"Assign", "AssignVariableOp", "ReadVariableOp", "Reshape", "RestoreV2"}


def test_what_computes_stays_a_stage() -> None:
    """Reads for device operations, reads of what is written, and assignments of what was computed."""
    with tf.Graph().as_default() as graph:
        v = tf.get_variable("v", [2], use_resource=True)
        tf.train.Saver()
        update = v.assign(tf.random_uniform([2])).op
        assert "ReadVariableOp" in stages(graph, update.name, "save/SaveV2")
        assert {"AssignVariableOp"} <= set(stages(graph, update.name))
        both = tf.add(v.op.outputs[0].graph.get_tensor_by_name("v/Read/ReadVariableOp:0"), 1.0)
        assert "ReadVariableOp" in stages(graph, both.op.name, "save/SaveV2")


def test_restored_arrays_are_the_variables_own(tmp_path: Path) -> None:
    """Two variables and the user may have one array: none of them sees what becomes of the others."""
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=np.float32([1, 2]))
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, str(tmp_path / "m"))
        restored = tf.raw_ops.RestoreV2(prefix=path, tensor_names=["v"], shape_and_slices=[""], dtypes=[tf.float32])[0]
        w = tf.get_variable("w", [2], use_resource=True)
        _, _, mine = session.run([v.assign(restored), w.assign(restored), restored])
        mine[:] = 9
        session.run(v.assign_add([1.0, 1.0]))
        assert session.run(w).tolist() == [1, 2] and session.run(v).tolist() == [2, 3]


def test_saving_and_restoring_do_not_import_jax(tmp_path: Path) -> None:
    program = f"""
import sys
import millstream.v1 as tf
v = tf.get_variable("v", [3, 4])
r = tf.get_variable("r", [3, 4], use_resource=True)
saver = tf.train.Saver()
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    saver.restore(session, saver.save(session, {str(tmp_path / "m")!r}))
print("jax" in sys.modules)
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


def test_what_the_host_has_read_does_not_change() -> None:
    """Python code that updates the variable in between does not reach into what was read before."""
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", [40000], initializer=tf.ones_initializer(), use_resource=True)
        session.run(v.initializer)
        update = v.assign_add(tf.ones([40000]))
        session.run(update)  # the variable's array belongs to XLA now, which updates it in place
        before = v.read_value()
        seen = tf.py_func(lambda value: (session.run(update.op), value[0])[1], [before], tf.float32)
        with tf.control_dependencies([seen]):
            after = tf.py_func(lambda value: value.copy(), [before], tf.float32)
        assert session.run([seen, after])[0] == 2 and set(session.run([seen, after])[1].tolist()) == {3}
        assert set(session.run(v).tolist()) == {4}
