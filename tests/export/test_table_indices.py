"""The range of an integer input that is an index: read from the graph, as TensorFlow itself has it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgradkit.errors import ExportError, SignatureError
from tfgradkit.export.functions.entries import describe
from tfgradkit.export.functions.tf_functions import with_specs
from tfgradkit.export.native.library.recorded_points import check_ranges, record_points
from tfgradkit.export.native.library.table_indices import table_ranges
from tfgradkit.sources.resolve import resolve

L = keras.layers
SEVEN, FOUR = tf.constant(np.linspace(-1, 1, 14).reshape(7, 2)), tf.constant(np.linspace(1, 2, 4))
WHOLE = np.array([-(2.0**31), 2.0**31 - 1])
VARIABLE = tf.Variable(SEVEN)
# Of the first of two elements; the other has the range of its dtype.
FIRST_SEVEN, FIRST_TWO = ([0, WHOLE[0]], [6, WHOLE[1]]), ([0, WHOLE[0]], [1, WHOLE[1]])


def ranges_of(fn, *specs):
    source = with_specs(resolve(fn), specs or None)
    return table_ranges(source, describe(source, ("value",))[0])


def spec(*shape, dtype="int32"):
    return tf.TensorSpec(shape, dtype)


def moved(i):
    """Looks up places 1 and 2 in one table, 4 and 5 in another, after some ops that move numbers."""
    first, rest = tf.split(tf.reverse(tf.transpose(tf.reshape(i, [2, 3])), [0]), 2, axis=1)
    first, rest = tf.squeeze(first, 1), tf.tile(rest[:, 0], [2])[1:4]
    return tf.gather(SEVEN, first[:2]), tf.gather(FOUR, tf.stack([rest[0], rest[2]]))


# The function of an integer input, its spec, and its range: low and high, of all elements or of each.
CASES = {
    "gather": (lambda i: tf.gather(SEVEN, i), spec(3), (0, 6)),
    "a variable": (lambda i: tf.nn.embedding_lookup(VARIABLE, i), spec(), (0, 6)),
    "along the last axis": (lambda i: tf.gather(SEVEN, i, axis=1), spec(), (0, 1)),
    "what another op made": (lambda i: tf.gather(tf.sin(SEVEN)[1:], i), spec(), (0, 5)),
    "a wider dtype": (lambda i: tf.gather(SEVEN, tf.cast(i, tf.int64)), spec(3, dtype="uint8"), (0, 6)),
    "counted from one": (lambda i: tf.gather(SEVEN, i - 1), spec(3), (1, 7)),
    "behind others": (lambda i: tf.gather(SEVEN, 3 + i), spec(3), (-3, 3)),
    "two tables": (lambda i: (tf.gather(SEVEN, i), tf.gather(FOUR, i)), spec(2), (0, 3)),
    "negative counts from the end": (lambda i: keras.ops.take(SEVEN, i, axis=0), spec(3), (-7, 6)),
    "an input is the table": (lambda i: tf.gather(tf.cast(i, tf.float64), i[0]), spec(2), FIRST_TWO),
    "a table for each": (lambda i: (tf.gather(SEVEN, i[0]), tf.gather(FOUR, i[1])), spec(2), (0, [6, 3])),
    "one of two": (lambda i: tf.gather(SEVEN, i[0]) + tf.cast(i[1], tf.float64), spec(2), FIRST_SEVEN),
    "moved": (moved, spec(6), ([WHOLE[0], 0, 0, WHOLE[0], 0, 0], [WHOLE[1], 6, 6, WHOLE[1], 3, 3])),
    "beside constants": (lambda i: tf.gather(SEVEN, tf.concat([[0], i], 0)), spec(2), (0, 6)),
    "padded": (lambda i: tf.gather(SEVEN, tf.pad(i, [[1, 1]])), spec(2), (0, 6)),
    "rounded": (lambda i: tf.gather(SEVEN, tf.cast(tf.cast(i, tf.float32), tf.int32)), spec(), None),
    "cut to bits": (lambda i: tf.gather(SEVEN, tf.cast(tf.cast(i, tf.uint8), tf.int32)), spec(), None),
    "clipped": (lambda i: tf.gather(SEVEN, tf.clip_by_value(i, 0, 6)), spec(), None),
    "taken from a constant": (lambda i: tf.gather(SEVEN, 6 - i), spec(), None),
    "chosen": (lambda i: tf.gather(SEVEN, tf.where(i < 0, 0, i)), spec(2), None),
    "one-hot": (lambda i: tf.one_hot(i, 5), spec(2), None),
    "a number": (lambda i: tf.cast(i, tf.float64) * SEVEN, spec(), None),
    "in a branch": (lambda i: tf.cond(i < 3, lambda: tf.gather(FOUR, i), lambda: tf.gather(FOUR, 0)), spec(), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_range_of_an_index(case):
    fn, given, expected = CASES[case]
    found = ranges_of(fn, given)
    assert set(found) == (set() if expected is None else {"x"})
    if expected is not None:
        for bound, wanted in zip(found["x"], expected, strict=True):
            assert bound.shape == given.shape
            np.testing.assert_array_equal(bound, np.broadcast_to(wanted, given.shape))


@pytest.mark.parametrize("case", [name for name, (*_, expected) in CASES.items() if expected is not None])
def test_tensorflow_takes_both_ends_of_a_range_and_nothing_beyond(case):
    fn, given, _ = CASES[case]
    low, high = ranges_of(fn, given)["x"]
    bound = low > WHOLE[0]
    for end, beyond in ((low, -1), (high, 1)):
        inside = tf.constant(np.where(bound, end, 0), given.dtype)
        fn(inside)
        for place in np.ndindex(bound.shape):
            outside = np.array(np.where(bound, end, 0))
            outside[place] += beyond
            if bound[place] and np.iinfo(given.dtype.as_numpy_dtype).min <= outside[place]:
                with pytest.raises(tf.errors.InvalidArgumentError):
                    fn(tf.constant(outside, given.dtype))


def tabular() -> keras.Model:
    """One column of integers for two embeddings and a number, another for a third."""
    columns, day = keras.Input((3,), dtype="int64", name="columns"), keras.Input((), dtype="uint8", name="day")
    price = keras.Input((2,), name="price")
    parts = [L.Embedding(9, 2)(columns[:, 0]), L.Embedding(30, 3)(columns[:, 2]), L.Embedding(7, 1)(day)]
    return keras.Model([columns, day, price], L.Dense(2, "tanh")(L.Concatenate()([*parts, price])))


def test_columns_of_a_table_have_a_range_each():
    found = ranges_of(tabular())
    assert set(found) == {"columns", "day"}
    np.testing.assert_array_equal(found["columns"], [[-9, 1 - 2.0**53, -30], [8, 2.0**53 - 1, 29]])
    np.testing.assert_array_equal(found["day"], [0, 6])


def test_a_function_of_one_sample_has_the_range_of_its_table():
    def gathered(i, x):
        return tf.gather(SEVEN, i) * x

    assert [bound.item() for bound in ranges_of(gathered, spec(), spec(2, dtype="float64"))["i"]] == [0, 6]


def drawn(fn, *specs, ranges=None):
    source = with_specs(resolve(fn), specs)
    entries = describe(source, ("value",))
    bounds = check_ranges(ranges, entries[0].inputs, table_ranges(source, entries[0]))
    return record_points(source, entries, bounds, 200)


def test_all_places_of_a_table_are_drawn():
    points = drawn(lambda i: (tf.gather(SEVEN, i[0]), tf.gather(FOUR, i[1])), spec(2))
    assert [set(points["x"][:, column]) for column in range(2)] == [set(range(7)), set(range(4))]


def test_what_is_drawn_where_nothing_is_known():
    def fn(i, flag, k, x):
        return tf.where(flag, x, tf.cast(i[1] + tf.cast(k, tf.int32), x.dtype) * tf.gather(FOUR, i[0]))

    specs = (spec(2), spec(dtype="bool"), spec(dtype="int16"), spec(dtype="float64"))
    points = drawn(fn, *specs, ranges={"k": (-300, -299)})
    assert [points[name].dtype for name in ("i", "flag", "k")] == [np.int32, np.bool_, np.int16]
    assert [set(column) for column in points["i"].T] == [{0, 1, 2, 3}, {0, 1}]
    assert set(points["flag"]) == {False, True}
    assert set(points["k"]) == {-300, -299}


WRONG = {
    "a fraction": ({"i": (0, 0.5)}, "whole numbers from -128 to 127"),
    "beyond the dtype": ({"i": (0, 200)}, "-128 to 127"),
    "not a number": ({"i": (0, np.nan)}, "NaN"),
    "of a boolean": ({"flag": (0, 1)}, "no range"),
    "beyond the table": ({"k": (0, 7)}, "beyond the table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_range_that_cannot_be(case):
    ranges, words = WRONG[case]
    specs = (spec(dtype="int8"), spec(dtype="bool"), spec(dtype="uint64"))
    source = with_specs(resolve(lambda i, flag, k: tf.cast(i, tf.float64)), specs)
    xs = describe(source, ("value",))[0].inputs
    with pytest.raises(SignatureError, match=words):
        check_ranges(ranges, xs, {"k": (np.array(0.0), np.array(6.0))})


def test_a_narrower_range_is_the_users():
    source = with_specs(resolve(lambda i: tf.gather(SEVEN, i)), (spec(2),))
    entry = describe(source, ("value",))[0]
    (found,) = check_ranges({"x": (2, 5)}, entry.inputs, table_ranges(source, entry)).values()
    np.testing.assert_array_equal(found, [[2, 2], [5, 5]])


def test_integers_that_the_model_refuses_are_told():
    def only_large(i, x):
        return tf.gather(SEVEN, tf.maximum(i, 9) + tf.cast(x[0], tf.int32)) * x

    with pytest.raises(ExportError, match="ranges="):
        drawn(only_large, spec(), spec(2, dtype="float64"))
