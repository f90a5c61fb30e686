"""`tf.train.Checkpoint` of 2.x: saving and restoring objects, also before they are there."""
from __future__ import annotations

import gc
import logging
from pathlib import Path

import numpy as np
import pytest

import millstream as tf

v1 = tf.compat.v1


class Net(tf.Module):
    pass


def variable(value=1.0, name=None):
    return tf.Variable(value, name=name)


def keys(path):
    return [name for name, _ in tf.train.list_variables(str(path))]


def trained(*variables, rate=0.1):
    """An optimiser that has made a step."""
    optimizer = v1.train.AdamOptimizer(rate)
    optimizer.apply_gradients([(tf.ones_like(v), v) for v in variables])
    return optimizer


# --- Saving ----------------------------------------------------------------------------------------------------------


def test_save_counts_and_writes_the_state_file(tmp_path):
    v = variable(name="v")
    checkpoint = tf.train.Checkpoint(v=v)
    assert checkpoint.save_counter.numpy() == 0
    assert checkpoint.save(tmp_path / "ckpt") == str(tmp_path / "ckpt-1")
    assert checkpoint.save(str(tmp_path / "ckpt")) == str(tmp_path / "ckpt-2")
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "checkpoint",
        *(f"ckpt-{n}.{end}" for n in (1, 2) for end in ("data-00000-of-00001", "index")),
    ]
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-2"\n'
    )
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-2")
    assert keys(tmp_path / "ckpt-2") == [
        "_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE", "v/.ATTRIBUTES/VARIABLE_VALUE",
    ]  # fmt: skip
    assert tf.train.load_variable(str(tmp_path), "save_counter/.ATTRIBUTES/VARIABLE_VALUE") == 2


def test_write_makes_folders_and_counts_nothing(tmp_path):
    prefix = tmp_path / "a" / "b" / "ckpt"
    assert tf.train.Checkpoint(v=variable()).write(prefix) == str(prefix)
    assert keys(prefix) == ["_CHECKPOINTABLE_OBJECT_GRAPH", "v/.ATTRIBUTES/VARIABLE_VALUE"]
    assert not (prefix.parent / "checkpoint").exists()


def test_paths_are_the_shortest_and_names_are_escaped(tmp_path):
    net = Net()
    net.deep = Net()
    net.deep.v = variable()
    net.table = {"a/b": variable(), "c.d": variable()}
    net.itself = net
    path = tf.train.Checkpoint(net=net, short=net.deep.v).write(tmp_path / "ckpt")
    assert keys(path)[1:] == [
        "net/table/a.Sb/.ATTRIBUTES/VARIABLE_VALUE",
        "net/table/c..d/.ATTRIBUTES/VARIABLE_VALUE",
        "short/.ATTRIBUTES/VARIABLE_VALUE",
    ]


def test_slots_are_named_after_their_variable_and_their_optimiser(tmp_path):
    v = variable()
    path = tf.train.Checkpoint(net=tf.train.Checkpoint(v=v, opt=trained(v))).write(tmp_path / "ckpt")
    assert [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in keys(path)[1:]] == [
        "net/opt/beta1_power", "net/opt/beta2_power", "net/v",
        "net/v/.OPTIMIZER_SLOT/net/opt/m", "net/v/.OPTIMIZER_SLOT/net/opt/v",
    ]  # fmt: skip


def test_slots_need_their_variable(tmp_path):
    v = variable()
    path = tf.train.Checkpoint(opt=trained(v)).write(tmp_path / "ckpt")
    assert len(keys(path)) == 3


def test_a_slot_is_no_child(tmp_path):
    v = variable()
    optimizer = trained(v)
    with pytest.raises(NotImplementedError, match="A slot variable was re-used as a dependency"):
        tf.train.Checkpoint(v=v, opt=optimizer, m=optimizer.get_slot(v, "m")).write(tmp_path / "ckpt")


def test_what_cannot_be_saved_is_an_error_when_it_is_saved(tmp_path):
    net = Net()
    net.list = [variable(), variable()]
    net.list.pop()
    with pytest.raises(ValueError, match="A list element was replaced"):
        tf.train.Checkpoint(net=net).save(tmp_path / "ckpt")
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("value", [3, None, "text", np.ones(2), {1}, lambda: 1])
def test_only_trackable_objects_are_saved(value):
    with pytest.raises(ValueError, match="`Checkpoint` was expecting x to be a trackable object"):
        tf.train.Checkpoint(x=value)
    with pytest.raises(AttributeError):
        tf.train.Checkpoint(save_counter=variable())


def test_saving_in_a_function(tmp_path):
    v = variable()
    checkpoint = tf.train.Checkpoint(v=v)

    @tf.function
    def write(value):
        v.assign(value)
        return checkpoint.write(str(tmp_path / "ckpt"))

    assert write(5.0).numpy() == str(tmp_path / "ckpt").encode()
    assert tf.train.load_variable(str(tmp_path / "ckpt"), "v/.ATTRIBUTES/VARIABLE_VALUE") == 5.0
    write(6.0)
    v.assign(0.0)
    checkpoint.read(str(tmp_path / "ckpt")).assert_consumed()
    assert v.numpy() == 6.0
    with pytest.raises(NotImplementedError, match=r"Calling tf.train.Checkpoint.save\(\) from a function"):
        tf.function(lambda: checkpoint.save(str(tmp_path / "x")))()
    with pytest.raises(NotImplementedError, match="cannot be restored in a function"):
        tf.function(lambda: checkpoint.read(str(tmp_path / "ckpt")) and None)()


def test_options(tmp_path):
    v, called = variable(), []
    optimizer = trained(v)
    options = tf.train.CheckpointOptions(
        experimental_write_callbacks=[called.append, lambda: called.append("no argument")], enable_async=True
    )
    path = tf.train.Checkpoint(v=v, opt=optimizer).save(tmp_path / "ckpt", options=options)
    assert called == [path, "no argument"] and options.experimental_enable_async_checkpoint
    fresh = v1.train.AdamOptimizer(0.1)
    skip = tf.train.CheckpointOptions(experimental_skip_slot_variables=True)
    status = tf.train.Checkpoint(v=v, opt=fresh).restore(path, options=skip)
    assert not fresh.get_slot_names()
    status.expect_partial()
    with pytest.raises(NotImplementedError, match="one shard"):
        tf.train.CheckpointOptions(experimental_sharding_callback=lambda tensors: [])


# --- Restoring -------------------------------------------------------------------------------------------------------


def test_restore_gives_values_back(tmp_path):
    v, n, s, b = variable([1.0, 2.0]), tf.Variable(3), tf.Variable(["x", "yz"]), tf.Variable(True)
    checkpoint = tf.train.Checkpoint(v=v, rest=[n, {"s": s}], b=b)
    path = checkpoint.save(tmp_path / "ckpt")
    v.assign([0.0, 0.0])
    n.assign(0)
    s.assign(["", ""])
    b.assign(False)
    checkpoint.save_counter.assign(7)
    checkpoint.restore(path).assert_consumed().assert_existing_objects_matched().assert_nontrivial_match()
    assert v.numpy().tolist() == [1.0, 2.0] and n.numpy() == 3 and b.numpy()
    assert s.numpy().tolist() == [b"x", b"yz"]
    assert checkpoint.save_counter.numpy() == 1
    v.assign_add([1.0, 1.0])  # the restored array is the variable's own
    checkpoint.restore(path)
    assert v.numpy().tolist() == [1.0, 2.0]


def test_what_the_checkpoint_or_the_program_lacks(tmp_path):
    v, w = variable(name="v"), variable(2.0, name="w")
    path = tf.train.Checkpoint(v=v, w=w).save(tmp_path / "ckpt")
    less = tf.train.Checkpoint(v=v).restore(path).expect_partial()
    less.assert_existing_objects_matched()
    with pytest.raises(AssertionError, match=r"Unresolved object in checkpoint \(root\).w: attributes"):
        less.assert_consumed()
    more = tf.train.Checkpoint(v=v, w=w, x=variable(name="x")).restore(path)
    for check in (more.assert_consumed, more.assert_existing_objects_matched):
        with pytest.raises(AssertionError, match="Found 1 Python objects that were not bound.*'x:0'"):
            check()
    nothing = tf.train.Checkpoint(x=v).read(path).expect_partial()
    with pytest.raises(AssertionError, match="Nothing except the root object matched"):
        nothing.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="Nothing to load. No dependencies have been added"):
        tf.train.Checkpoint().read(path).expect_partial().assert_nontrivial_match()


def test_shapes_and_dtypes_must_fit(tmp_path):
    path = tf.train.Checkpoint(v=variable([1.0, 2.0])).write(tmp_path / "ckpt")
    with pytest.raises(ValueError, match=r"incompatible tensor with shape \(2,\) when attempting to restore variable"):
        tf.train.Checkpoint(v=variable(1.0)).read(path)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected dtype int32 does not equal original dtype fl"):
        tf.train.Checkpoint(v=tf.Variable([1, 2])).read(path)
    any_shape = tf.Variable(1.0, shape=tf.TensorShape(None))
    tf.train.Checkpoint(v=any_shape).read(path).assert_consumed()
    assert any_shape.numpy().tolist() == [1.0, 2.0]


def test_no_checkpoint(tmp_path):
    checkpoint = tf.train.Checkpoint(v=variable())
    with pytest.raises(tf.errors.NotFoundError, match="Please double-check that the path is correct"):
        checkpoint.restore(str(tmp_path / "none"))
    status = checkpoint.restore(None)
    for check in (status.assert_consumed, status.assert_existing_objects_matched, status.assert_nontrivial_match):
        with pytest.raises(AssertionError, match="No checkpoint specified"):
            check()
    with pytest.raises(AssertionError, match="no restore ops are available"):
        status.run_restore_ops()
    assert status.initialize_or_restore() is None and status.expect_partial() is status


def test_write_and_save_read_and_restore(tmp_path):
    v = variable()
    written = tf.train.Checkpoint(v=v).write(tmp_path / "written")
    tf.train.Checkpoint(v=v).read(written).assert_consumed()
    with pytest.raises(AssertionError, match="save_counter"):
        tf.train.Checkpoint(v=v).restore(written).assert_consumed()
    saved = tf.train.Checkpoint(v=v).save(tmp_path / "saved")
    checkpoint = tf.train.Checkpoint(v=v)
    with pytest.raises(AssertionError, match=r"\(root\).save_counter"):
        checkpoint.read(saved).assert_consumed()
    assert checkpoint.save_counter.numpy() == 1


# --- Before the objects are there ------------------------------------------------------------------------------------


@pytest.fixture
def saved_net(tmp_path):
    net = Net()
    net.a, net.list, net.table = variable(5.0), [variable(6.0)], {"x": variable(7.0)}
    net.inner = Net()
    net.inner.b = variable(8.0)
    return tf.train.Checkpoint(net=net).save(tmp_path / "ckpt")


def test_values_wait_for_attributes_elements_and_items(saved_net):
    net = Net()
    status = tf.train.Checkpoint(net=net).restore(saved_net)
    with pytest.raises(AssertionError, match=r"\(root\).net.a"):
        status.assert_consumed()
    net.a = variable()
    net.list = []
    net.list.append(variable())
    net.table = {}
    net.table["x"] = variable()
    inner = Net()
    inner.b = variable()
    net.inner = inner
    assert [net.a.numpy(), net.list[0].numpy(), net.table["x"].numpy(), inner.b.numpy()] == [5.0, 6.0, 7.0, 8.0]
    status.assert_consumed()


def test_what_comes_after_the_first_gets_nothing(saved_net):
    net = Net()
    net.a = variable()
    tf.train.Checkpoint(net=net).restore(saved_net).expect_partial()
    net.a = variable(0.5)
    assert net.a.numpy() == 0.5


def test_the_last_restoration_counts(tmp_path, saved_net):
    net = Net()
    net.a = variable(50.0)
    later = tf.train.Checkpoint(net=net).save(tmp_path / "later")
    net = Net()
    checkpoint = tf.train.Checkpoint(net=net)
    checkpoint.restore(saved_net).expect_partial()
    checkpoint.restore(later)
    net.a = variable()
    assert net.a.numpy() == 50.0
    net = Net()
    checkpoint = tf.train.Checkpoint(net=net)
    checkpoint.restore(later)
    checkpoint.restore(saved_net).expect_partial()
    net.a = variable()
    assert net.a.numpy() == 5.0


def test_the_same_object_by_two_names(tmp_path, caplog):
    v = variable(5.0)
    path = tf.train.Checkpoint(a=v, b=v).write(tmp_path / "ckpt")
    one, other = variable(), variable()
    with caplog.at_level(logging.WARNING, "tensorflow"):
        tf.train.Checkpoint(a=one, b=other).read(path)
    assert "Inconsistent references when loading the checkpoint" in caplog.text
    assert one.numpy() == 5.0 and other.numpy() == 1.0


def test_slots_are_made_with_their_values(tmp_path):
    v = variable([1.0, 2.0])
    optimizer = trained(v)
    path = tf.train.Checkpoint(v=v, opt=optimizer).save(tmp_path / "ckpt")
    fresh, w = v1.train.AdamOptimizer(0.1), variable([0.0, 0.0])
    status = tf.train.Checkpoint(v=w, opt=fresh).restore(path)
    assert np.array_equal(fresh.get_slot(w, "m"), optimizer.get_slot(v, "m"))
    with pytest.raises(AssertionError, match=r"\(root\).opt.beta1_power"):
        status.assert_consumed()
    for item, var in ((optimizer, v), (fresh, w)):
        item.apply_gradients([(tf.ones_like(var), var)])
    status.assert_consumed()
    assert np.array_equal(v, w)
    for own, other in zip(fresh.variables(), optimizer.variables(), strict=True):
        assert np.array_equal(own, other)


def test_slots_of_variables_and_optimisers_that_come_later(tmp_path):
    v = variable([1.0, 2.0])
    path = tf.train.Checkpoint(net=[v], opt=trained(v)).save(tmp_path / "ckpt")
    fresh, w = v1.train.AdamOptimizer(0.1), variable([0.0, 0.0])
    checkpoint = tf.train.Checkpoint()
    status = checkpoint.restore(path)
    checkpoint.net = []
    checkpoint.net.append(w)
    checkpoint.opt = fresh
    assert np.allclose(fresh.get_slot(w, "m"), 0.1)
    fresh.apply_gradients([(tf.ones_like(w), w)])
    status.assert_consumed()


def test_layers_make_their_weights_with_the_values(tmp_path):
    layer = v1.layers.Dense(2, name="dense")
    layer(tf.ones([1, 3]))
    path = tf.train.Checkpoint(layer=layer).save(tmp_path / "ckpt")
    made = []

    def noted(shape, dtype=None, partition_info=None):
        made.append(shape)
        return tf.zeros(shape, dtype)

    fresh = v1.layers.Dense(2, name="dense", kernel_initializer=noted)
    status = tf.train.Checkpoint(layer=fresh).restore(path)
    fresh(tf.ones([1, 3]))
    status.assert_consumed()
    assert np.array_equal(fresh.kernel, layer.kernel) and not made


def test_unused_values_are_told_when_nobody_waits_for_them_any_more(saved_net, caplog):
    v = variable()
    with caplog.at_level(logging.WARNING, "tensorflow"):
        net = Net()
        net.a = v
        status = tf.train.Checkpoint(net=net).restore(saved_net)
        del status
        gc.collect()
        assert "could not be found" not in caplog.text  # the net waits for more
        del net
        gc.collect()
    told = [record.getMessage() for record in caplog.records]
    assert "is being deleted with unrestored values" in told[0]
    assert told[1:] == [
        f"Value in checkpoint could not be found in the restored object: (root).net.{name}"
        for name in ("list.0", "table.x", "inner.b")
    ]
    caplog.clear()
    tf.train.Checkpoint(v=v).restore(saved_net).expect_partial()
    gc.collect()
    assert not caplog.records


# --- A root ----------------------------------------------------------------------------------------------------------


def test_a_root_is_saved_with_what_is_attached(tmp_path):
    net, extra = Net(), variable(3.0)
    net.v = variable(2.0)
    checkpoint = tf.train.Checkpoint(net, extra=extra)
    assert checkpoint.root is net and checkpoint.extra is extra
    path = checkpoint.save(tmp_path / "ckpt")
    assert [key.partition("/")[0] for key in keys(path)[1:]] == ["extra", "save_counter", "v"]
    assert list(net._trackable_children()) == ["v"]
    net.v.assign(0.0)
    extra.assign(0.0)
    checkpoint.save_counter.assign(9)
    checkpoint.restore(path).assert_consumed()
    assert [net.v.numpy(), extra.numpy(), checkpoint.save_counter.numpy()] == [2.0, 3.0, 1]
    fresh = tf.train.Checkpoint(Net(), extra=variable())
    status = fresh.restore(path)
    assert fresh.extra.numpy() == 3.0 and fresh.save_counter.numpy() == 1
    fresh.root.v = variable()
    status.assert_consumed()


def test_a_root_and_arguments_of_one_name(tmp_path):
    net = Net()
    net.v = variable()
    tf.train.Checkpoint(root=net, v=net.v)
    with pytest.raises(ValueError, match="keyword argument v if root.v already exists"):
        tf.train.Checkpoint(root=net, v=variable())
    with pytest.raises(ValueError, match="was expecting root to be a trackable object"):
        tf.train.Checkpoint(3)


def test_a_variable_as_the_root(tmp_path):
    v = variable(4.0)
    path = tf.train.Checkpoint(v).write(tmp_path / "ckpt")
    v.assign(0.0)
    tf.train.Checkpoint(v).read(path).assert_consumed()
    assert keys(path)[0] == "/.ATTRIBUTES/VARIABLE_VALUE" and v.numpy() == 4.0


# --- State of Python -------------------------------------------------------------------------------------------------


class Position(tf.train.experimental.PythonState):
    def __init__(self, line=0):
        self.line = line

    def serialize(self):
        return str(self.line)

    def deserialize(self, string_value):
        self.line = int(string_value)


def test_python_state(tmp_path):
    position = Position(12)
    checkpoint = tf.train.Checkpoint(position=position, v=variable())
    path = checkpoint.save(tmp_path / "ckpt")
    position.line = 0
    checkpoint.restore(path).assert_consumed()
    assert position.line == 12
    later = tf.train.Checkpoint(v=variable())
    status = later.restore(path)
    later.position = Position()
    assert later.position.line == 12
    status.assert_consumed()
    with pytest.raises(NotImplementedError):
        tf.train.experimental.PythonState().serialize()


def test_values_of_another_kind_are_not_used(tmp_path):
    path = tf.train.Checkpoint(x=Position(1)).write(tmp_path / "ckpt")
    v = variable()
    status = tf.train.Checkpoint(x=v).read(path)
    with pytest.raises(AssertionError, match=r"Unused attributes in these objects(.|\n)*py_state"):
        status.assert_consumed()
    assert v.numpy() == 1.0


# --- Checkpoints of a Saver ------------------------------------------------------------------------------------------


def test_a_checkpoint_of_a_saver_is_restored_by_names(tmp_path):
    v, w = variable(5.0, name="v"), variable(6.0, name="w")
    path = v1.train.Saver([v, w]).save(None, str(tmp_path / "ckpt"))
    v, net = variable(name="v"), Net()
    checkpoint = tf.train.Checkpoint(v=v, net=net)
    status = checkpoint.restore(path)
    status.assert_consumed().assert_existing_objects_matched().assert_nontrivial_match()
    net.w = variable(name="w")
    assert v.numpy() == 5.0 and net.w.numpy() == 6.0
    net.x = variable(name="x")
    with pytest.raises(AssertionError, match=r"attributes which were not restored: \n.*'x:0'.*: \['x'\]"):
        status.assert_consumed()
    assert checkpoint.save_counter.numpy() == 0


def test_a_saver_restores_objects_by_names(tmp_path, caplog):
    v, w = variable(5.0, name="v"), variable(6.0, name="w")
    path = tf.train.Checkpoint(a=v, b=[w]).save(tmp_path / "ckpt")
    v.assign(0.0)
    w.assign(0.0)
    with caplog.at_level(logging.WARNING, "tensorflow"):
        v1.train.Saver([v]).restore(None, path)
        v1.train.Saver({"w": w}).restore(None, path)
    assert [v.numpy(), w.numpy()] == [5.0, 6.0]
    assert "Restoring an object-based checkpoint using a name-based saver" in caplog.text
    with pytest.raises(tf.errors.NotFoundError, match="Existing variables not in the checkpoint: none"):
        v1.train.Saver([v, variable(name="none")]).restore(None, path)


# --- Views -----------------------------------------------------------------------------------------------------------


def test_views(tmp_path):
    net = Net()
    net.v, net.list = variable(), [variable()]
    checkpoint = tf.train.Checkpoint(net=net, opt=trained(net.v))
    path = checkpoint.save(tmp_path / "ckpt")
    view = tf.train.CheckpointView(path)
    assert view.children(0) == {"net": 1, "opt": 2, "save_counter": 3}
    assert view.descendants() == list(range(9))
    assert view.match(checkpoint)[1] is net
    other = Net()
    other.v, other.extra = variable(), variable()
    matched, only_stored, only_here = view.diff(tf.train.Checkpoint(net=other))
    assert list(matched) == [0, 1, 4] and only_stored == [2, 3, 5, 6, 7, 8] and only_here == [other.extra]
    objects = tf.train.TrackableView(checkpoint)
    assert objects.root is checkpoint and objects.descendants()[1] is net
    assert list(objects.children(net)) == ["v", "list"]
    saver = v1.train.Saver([net.v]).save(None, str(tmp_path / "names"))
    with pytest.raises(ValueError, match="does not appear to be object-based"):
        tf.train.CheckpointView(saver)
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.CheckpointView(tmp_path / "none")


def test_a_checkpoint_in_a_folder_of_a_saved_model(tmp_path):
    v = variable(5.0)
    tf.train.Checkpoint(v=v).write(tmp_path / "model" / "variables" / "variables")
    Path(tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    v.assign(0.0)
    tf.train.Checkpoint(v=v).restore(tmp_path / "model").assert_nontrivial_match()
    assert v.numpy() == 5.0
