"""Objects with named children, and lists, dicts and tuples among them."""
from __future__ import annotations

import collections
import copy
import json
import pickle

import pytest

import millstream as tf
from millstream.core.trackable import AutoTrackable, NoDependency, PythonValue, Trackable
from millstream.core.trackable_containers import ListWrapper, track_tuples

Pair = collections.namedtuple("Pair", "left right")


class Thing(AutoTrackable):
    pass


@pytest.fixture
def v():
    return tf.Variable(1.0, name="v")


@pytest.fixture
def w():
    return tf.Variable(2.0, name="w")


def children(item):
    return item._trackable_children()


def names(item):
    return list(children(item))


# --- Attributes ------------------------------------------------------------------------------------------------------


def test_attributes_are_children_in_the_order_of_their_first_assignment(v, w):
    thing = Thing()
    thing.b, thing.a, thing.number = v, w, 3
    thing.b = w
    assert children(thing) == {"b": w, "a": w}
    assert thing._lookup_dependency("a") is w
    assert thing._lookup_dependency("number") is None


def test_an_attribute_that_is_no_longer_trackable_stays_a_child(v):
    thing = Thing()
    thing.v = v
    thing.v = None
    assert children(thing) == {"v": v}


def test_a_deleted_attribute_is_no_child(v):
    thing = Thing()
    thing.v = v
    del thing.v
    assert not children(thing)
    with pytest.raises(AttributeError):
        thing.v  # noqa: B018 - reading it fails


def test_no_dependency_hides_a_value(v):
    thing = Thing()
    thing.hidden = NoDependency([v])
    assert type(thing.hidden) is list
    thing.hidden = thing.hidden
    assert not children(thing)


def test_track_trackable_refuses_what_it_cannot_track(v, w):
    thing = Thing()
    assert thing._track_trackable(v, "x") is v
    assert thing._track_trackable(v, "x") is v
    with pytest.raises(ValueError, match="already declared as a dependency"):
        thing._track_trackable(w, "x")
    thing._track_trackable(w, "x", overwrite=True)
    assert children(thing) == {"x": w}
    with pytest.raises(TypeError, match="can only be used to track objects of type Trackable"):
        thing._track_trackable(3, "y")


def test_modules_variables_and_functions_are_trackable(v):
    module = tf.Module()
    module.v, module.f = v, tf.function(lambda: v)
    assert names(module) == ["v", "f"]
    assert module.variables == (v,)
    assert "_tracking" not in [path[0] for path, _ in module._flatten(with_path=True)]
    assert v._checkpoint_values() == {"VARIABLE_VALUE": v}
    assert not children(module.f)


def test_an_object_without_children_remembers_nothing(v):
    assert not children(v) and not children(Thing())
    assert "_tracking" not in vars(Thing())


def test_a_generator_tracks_its_state():
    assert names(tf.random.Generator.from_seed(1)) == ["_state_var"]


def test_python_values_hold_two_functions():
    value = PythonValue(lambda: "text", print)
    assert value.serialize() == "text" and value.deserialize is print


def test_objects_are_copied_and_pickled_with_their_children(v):
    module = tf.Module()
    module.v, module.list, module.pair, module.itself = v, [v, {"x": v}], (v, 1), module
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert copied.v is not v
        assert copied.list[0] is copied.v and copied.list[1]["x"] is copied.v
        assert children(copied) == {
            "v": copied.v, "list": copied.list, "pair": copied.pair, "itself": copied,
        }  # fmt: skip
        assert names(copied.list) == ["0", "1"] and names(copied.pair) == ["0"]


# --- Lists -----------------------------------------------------------------------------------------------------------


def made_list(*elements):
    thing = Thing()
    thing.list = list(elements)
    return thing.list


def test_a_list_is_a_list_with_children(v, w):
    made = made_list(v, 3, [w])
    assert isinstance(made, list) and isinstance(made, Trackable)
    assert made == [v, 3, [w]] and [v, 3, [w]] == made and made != [v]
    assert len(made) == 3 and made[1] == 3 and made[-1] == [w] and made[:2] == [v, 3] and list(made) == [v, 3, [w]]
    assert 3 in made and made.index(3) == 1 and made.count(3) == 1 and list(reversed(made))[1] == 3
    assert names(made) == ["0", "2"] and names(made[2]) == ["0"]
    first, *rest = made
    assert first is v and rest == [3, [w]]
    assert repr(made_list(1, 2)) == "ListWrapper([1, 2])"


def test_elements_that_are_added_become_children(v, w):
    made = made_list(v)
    made.append(w)
    made.extend([1, v])
    made += [w]
    assert names(made) == ["0", "1", "3", "4"]
    made *= 2
    assert len(made) == 10 and names(made)[-1] == "9"


def test_sums_and_slices_of_lists_are_plain(v):
    made = made_list(v, 1)
    for result in (made + [2], [2] + made, made * 2, 2 * made, made[:], sorted(made_list(2, 1))):
        assert type(result) is list
    assert made_list(1) < [2] <= made_list(2) and made_list(3) > [2] >= made_list(1)
    assert type(made.copy()) is ListWrapper and type(copy.copy(made)) is ListWrapper


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.pop(),
        lambda made: made.insert(0, 3),
        lambda made: made.reverse(),
        lambda made: made.clear(),
        lambda made: made.remove(7),
        lambda made: made.__delitem__(0),
        lambda made: made.__setitem__(0, 3),
        lambda made: made.__setitem__(slice(0, 1), []),
        lambda made: made.sort(key=id),
        lambda made: made.__imul__(0),
    ],
)
def test_a_list_whose_children_move_cannot_be_saved(change, v):
    made = made_list(v, 7)
    change(made)
    with pytest.raises(ValueError, match="A list element was replaced .*append-only data structures"):
        children(made)


def test_a_list_without_children_may_change_at_will():
    made = made_list(3, 1, 2)
    made.sort()
    made.pop()
    made[0] = 5
    made[1:] = [7, 8]
    del made[0]
    assert made == [7, 8] and not children(made)


def test_a_list_shares_its_elements_with_the_one_that_it_was_made_of(v, w):
    thing, plain = Thing(), [v]
    thing.list = plain
    plain.append(w)
    assert thing.list == [v, w] and len(thing.list) == 2
    with pytest.raises(ValueError, match="was modified outside the wrapper"):
        children(thing.list)
    numbers = [1]
    thing.numbers = numbers
    numbers.append(2)
    assert thing.numbers == [1, 2] and not children(thing.numbers)


def test_lists_go_through_json_pickle_and_nest():
    made = made_list(1, [2, 3], {"a": [4]})
    assert json.loads(json.dumps(made)) == [1, [2, 3], {"a": [4]}]
    assert pickle.loads(pickle.dumps(made)) == made and copy.deepcopy(made) == made
    assert tf.nest.flatten(made) == [1, 2, 3, 4]
    assert tf.nest.map_structure(lambda x, y: x + y, made, [1, [2, 3], {"a": [4]}]) == [2, [4, 6], {"a": [8]}]
    tf.nest.assert_same_structure(made, [0, [0, 0], {"a": [0]}])


def test_lists_are_arguments_of_functions_and_become_tensors(v):
    made = made_list(1.0, 2.0)
    assert tf.function(lambda x: x[0] + x[1])(made).numpy() == 3.0
    assert tf.constant(made).numpy().tolist() == [1.0, 2.0]
    assert tf.stack(made_list(v, v)).numpy().tolist() == [1.0, 1.0]


# --- Dicts -----------------------------------------------------------------------------------------------------------


def made_dict(*args, **kwargs):
    thing = Thing()
    thing.dict = dict(*args, **kwargs)
    return thing.dict


def test_a_dict_is_a_dict_with_children(v, w):
    made = made_dict(a=v, n=3, b={"c": w})
    assert isinstance(made, dict) and isinstance(made, Trackable)
    assert made == {"a": v, "n": 3, "b": {"c": w}} and {"a": v} != made
    assert made["n"] == 3 and made.get("x", 5) == 5 and "a" in made and len(made) == 3
    assert list(made) == ["a", "n", "b"] == list(made.keys()) and dict(made.items())["n"] == 3
    assert {**made}["n"] == 3 and dict(made) == made and 3 in made.values()
    assert names(made) == ["a", "b"] and names(made["b"]) == ["c"]
    assert repr(made_dict(a=1)) == "DictWrapper({'a': 1})" and str(made_dict(a=1)) == "{'a': 1}"


def test_dicts_may_change(v, w):
    made = made_dict(a=v)
    made["b"] = w
    made.update(c=v, d=1)
    made.setdefault("e", w)
    made |= {"f": v}
    assert names(made) == ["a", "b", "c", "e", "f"]
    made["a"] = w
    assert children(made)["a"] is w
    del made["a"]
    made.pop("b")
    assert made.popitem() == ("f", v)
    made["c"] = 0
    assert names(made) == ["e"] and made == {"c": 0, "d": 1, "e": w}
    made.clear()
    assert not made and not children(made)
    with pytest.raises(KeyError):
        del made["x"]


def test_keys_of_children_must_be_strings(v):
    assert not children(made_dict({1: 2}))
    for made in (made_dict({1: v}), made_dict({1: []})):
        with pytest.raises(ValueError, match="contains a non-string key which maps to a trackable object"):
            children(made)


def test_a_dict_shares_its_elements_with_the_one_that_it_was_made_of(v):
    thing, plain = Thing(), {"n": 1}
    thing.dict = plain
    plain["m"] = 2
    thing.dict["k"] = 3
    assert thing.dict == plain == {"n": 1, "m": 2, "k": 3} and not children(thing.dict)
    plain["v"] = v
    with pytest.raises(ValueError, match="The wrapped dictionary was modified outside the wrapper"):
        children(thing.dict)


def test_dicts_go_through_json_pickle_and_nest():
    made = made_dict(b=[1], a={"x": 2})
    assert json.loads(json.dumps(made)) == {"b": [1], "a": {"x": 2}} and json.dumps(made_dict()) == "{}"
    assert pickle.loads(pickle.dumps(made)) == made and copy.deepcopy(made) == made and copy.copy(made) == made
    assert tf.nest.flatten(made) == [2, 1]
    assert (made | {"c": 0})["c"] == 0 and ({"c": 0} | made)["b"] == [1]


def test_an_ordered_dict_stays_one(v):
    thing = Thing()
    thing.dict = collections.OrderedDict(a=1, v=v)
    assert isinstance(thing.dict, collections.OrderedDict)
    thing.dict.move_to_end("a")
    assert list(thing.dict) == ["v", "a"] and names(thing.dict) == ["v"]


def test_other_mappings_are_left_alone(v):
    thing = Thing()
    thing.dict = collections.defaultdict(list, v=v)
    assert type(thing.dict) is collections.defaultdict and not children(thing)


# --- Tuples ----------------------------------------------------------------------------------------------------------


def test_a_tuple_is_tracked_where_something_in_it_is(v, w):
    thing = Thing()
    thing.plain, thing.pair, thing.named = (1, 2), (v, [w], 3), Pair(v, 2)
    assert type(thing.plain) is tuple and names(thing) == ["pair", "named"]
    assert thing.pair == (v, [w], 3) and names(thing.pair) == ["0", "1"]
    assert isinstance(thing.named, Pair) and thing.named.right == 2 and names(thing.named) == ["left", "0"]
    assert type(thing.pair + (1,)) is tuple and thing.pair._lookup_dependency("0") is v
    assert copy.copy(thing.pair) is thing.pair
    tf.nest.assert_same_structure(thing.pair, (0, [0], 0))
    assert isinstance(tf.nest.map_structure(lambda x: x, thing.named), Pair)


def test_tuples_are_not_tracked_in_1_x(v):
    track_tuples(False)
    thing = Thing()
    thing.pair = (v, 1)
    assert type(thing.pair) is tuple and not children(thing)
