"""``out=``: results written into the user's arrays."""

from __future__ import annotations

import numpy as np
import pair
import pytest

from tfgradkit.errors import SignatureError


def filled(shape, dtype=np.float64):
    return np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,)], ids=str)
def test_results_are_written_and_returned(water_library, water_points, lead):
    x = water_points["x"][: int(np.prod(lead))].reshape(*lead, 2)
    y, jacobian = water_library.value_and_jacobian(x)
    for _ in range(2):
        own, block = filled((*lead, 2)), filled((*lead, 2, 2))
        results = water_library.value_and_jacobian(x, out=(own, block))
        assert results[0] is own
        assert results[1] is block
        assert np.array_equal(own, y)
        assert np.array_equal(block, jacobian)
        block[...] = 0
        assert water_library.jacobian(x, out=block) is block
        assert np.array_equal(block, jacobian)
        assert water_library.jacobian(x, out=(block,)) is block


def test_none_makes_a_new_array(water_library, water_points):
    x, block = water_points["x"], filled((len(water_points["x"]), 2, 2))
    y, same = water_library.value_and_jacobian(x, out=(None, block))
    assert same is block
    assert np.array_equal(y, water_library.value_and_jacobian(x)[0])
    assert np.array_equal(block, water_library.jacobian(x))


@pytest.mark.parametrize("count", [1, 5, 60])
def test_not_contiguous_is_written_through(water_library, water_points, count):
    x = water_points["x"][:count]
    expected = water_library.jacobian(x)
    around = filled((count, 2, 4))
    view = around[:, :, 1:3]
    for _ in range(2):
        assert water_library.jacobian(x, out=view) is view
        assert np.array_equal(view, expected)
    assert np.isnan(around[:, :, [0, 3]]).all()
    columns = np.asfortranarray(filled((count, 2, 2)))
    water_library.jacobian(x, out=columns)
    assert np.array_equal(columns, expected)


def test_views_that_interleave_do_not_overlap(water_library, water_points):
    both = np.concatenate([water_points["x"], water_points["x"] * 0], axis=1)
    expected = water_library.value(water_points["x"])
    water_library.value(both[:, :2], out=both[:, 2:])
    assert np.array_equal(both[:, 2:], expected)


def test_any_alignment(water_library, water_points):
    x = water_points["x"][:7]
    memory = np.zeros(7 * 32 + 64, np.uint8)
    for offset in (0, 1, 4, 9):
        out = memory[offset : offset + 7 * 32].view(np.float64).reshape(7, 2, 2)
        assert np.array_equal(water_library.jacobian(x, out=out), water_library.jacobian(x))


def test_several_results_by_name(pair_library):
    p = pair.points(20)
    own = {"d_w_d_a": filled((20, 2, 3)), "d_u_d_b": filled((20, 2), np.float32)}
    values, blocks = pair_library.value_and_jacobian(p["a"], p["b"], out=(None, own))
    assert list(values) == ["u", "w"]
    assert all(blocks[name] is array for name, array in own.items())
    expected = pair_library.jacobian(p["a"], p["b"])
    assert all(np.array_equal(blocks[name], expected[name]) for name in expected)


X, LOCKED, PAIR = np.array([[800.0, 100.0]] * 3), np.zeros((3, 2)), np.zeros((6, 2))
LOCKED.flags.writeable = False


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda lib: lib.value(X, out=filled((4, 2))), ("y", "float64 [3, 2]", "float64 [4, 2]", "np.empty")),
        (lambda lib: lib.value(X, out=filled((3, 2), np.float32)), ("y", "float64 [3, 2]", "float32 [3, 2]")),
        (lambda lib: lib.value(X, out=LOCKED), ("y", "read-only")),
        (lambda lib: lib.value(X, out=[[0.0, 0.0]] * 3), ("y", "no array", "list")),
        (lambda lib: lib.value(X, out=X), ("y overlaps input 1", "copy")),
        (lambda lib: lib.value(PAIR[:3], out=PAIR[2:5]), ("y overlaps input 1",)),
        (lambda lib: lib.vjp(X, PAIR[:3], out=PAIR[1:4]), ("vjp overlaps input 2",)),
        (lambda lib: lib.value_and_vjp(X, X, out=(PAIR[:3], PAIR[2:5])), ("vjp overlaps out for y",)),
        (lambda lib: lib.value(X[:, ::-1], out=X), ("y overlaps input 1",)),
        (lambda lib: lib.value_and_jacobian(X, out=PAIR[:3]), ("tuple of 2", "ndarray")),
        (lambda lib: lib.value_and_jacobian(X, out=(PAIR[:3],)), ("tuple of 2", "1 entries")),
        (lambda lib: lib.jacobian(X, out=(None, None)), ("tuple of 1", "2 entries")),
    ],
)
def test_what_cannot_be_written_is_refused(water_library, call, words):
    for _ in range(2):  # before and after the shapes are known
        before = X.copy(), PAIR.copy()
        with pytest.raises(SignatureError) as caught:
            call(water_library)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert np.array_equal(before[0], X)
        assert np.array_equal(before[1], PAIR)
        water_library.value(X)
        water_library.value_and_jacobian(X)
        water_library.value_and_vjp(X, X)


def test_a_dict_of_other_names_is_refused(pair_library):
    p = pair.points(4)
    for out in ({"d_u_d_x": filled((4, 3))}, (filled((4, 3)),), filled((4, 3))):
        with pytest.raises(SignatureError, match="d_u_d_a, d_u_d_b, d_w_d_a, d_w_d_b"):
            pair_library.jacobian(p["a"], p["b"], out=out)
