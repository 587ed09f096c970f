"""``load_native`` with several inputs and outputs of different dtypes: how they are given and returned."""

from __future__ import annotations

import numpy as np
import pair
import pytest

from tfgradkit.comparison import relative_error
from tfgradkit.errors import LibraryError, SignatureError

BLOCKS = ("d_u_d_a", "d_u_d_b", "d_w_d_a", "d_w_d_b")


@pytest.fixture(scope="module")
def p():
    return pair.points(20)


def check(results, p, names, count=20, lead=None):
    """Each of ``names`` is the closed form's, in dtype, shape and number; no other is there."""
    assert list(results) == list(names)
    for name, result in results.items():
        expected = p[name][:count]
        assert result.dtype == expected.dtype, name
        assert result.shape == ((count,) if lead is None else lead) + expected.shape[1:], name
        assert relative_error(result.reshape(expected.shape), expected) < 2e-7, name


def test_each_kind_agrees_with_its_closed_form(pair_library, p):
    a, b, u, w = (p[name] for name in pair.INPUTS["vjp"])
    tangents = (p["tangents_a"], p["tangents_b"])
    check(pair_library.value(a, b), p, ("u", "w"))
    check(pair_library.jacobian(a, b), p, BLOCKS)
    check(pair_library.vjp(a, b, output_gradients=(u, w)), p, ("vjp_a", "vjp_b"))
    check(pair_library.jvp(a, b, tangents=tangents), p, ("jvp_u", "jvp_w"))
    for value, derivative, names in (
        (*pair_library.value_and_jacobian(a, b), BLOCKS),
        (*pair_library.value_and_vjp(a, b, output_gradients=(u, w)), ("vjp_a", "vjp_b")),
        (*pair_library.value_and_jvp(a, b, tangents=tangents), ("jvp_u", "jvp_w")),
    ):
        check(value, p, ("u", "w"))
        check(derivative, p, names)


@pytest.mark.parametrize("lead", [(), (1,), (4, 5), (0,), (3, 0)], ids=str)
def test_any_leading_axes(pair_library, p, lead):
    count = int(np.prod(lead))
    a, b, u, w = (p[name][:count].reshape(lead + p[name].shape[1:]) for name in pair.INPUTS["vjp"])
    for _ in range(2):  # shapes that were seen before take another way
        check(pair_library.value(a, b), p, ("u", "w"), count, lead)
        check(pair_library.jacobian(a, b), p, BLOCKS, count, lead)
        check(pair_library.vjp(a, b, output_gradients=(u, w)), p, ("vjp_a", "vjp_b"), count, lead)


def test_arguments_by_position_name_tuple_and_dict_are_the_same(pair_library, p):
    a, b, u, w = (p[name] for name in pair.INPUTS["vjp"])
    expected = pair_library.vjp(a, b, output_gradients=(u, w))
    for other in (
        pair_library.vjp(a, b, u, w),
        pair_library.vjp(a, b, (u, w)),
        pair_library.vjp(b=b, a=a, output_gradients=[u, w]),
        pair_library.vjp(a, b=b, output_gradients={"w": w, "u": u}),
    ):
        assert all(np.array_equal(other[name], expected[name]) for name in expected)
    assert pair_library.input_names == ("a", "b")
    assert pair_library.output_names == ("u", "w")


def test_each_input_is_converted_to_its_own_dtype(pair_library, p):
    expected = pair_library.value(p["a"].astype(np.float32).astype(np.float64), p["b"])
    other = pair_library.value(p["a"].astype(np.float32), p["b"].astype(np.float64))
    assert all(np.array_equal(other[name], expected[name]) for name in expected)
    wide = np.repeat(p["b"], 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    assert np.array_equal(pair_library.value(p["a"], wide)["u"], pair_library.value(p["a"], p["b"])["u"])


def test_the_c_function_as_it_is(pair_library, p):
    results = pair_library.call("vjp", *(p[name] for name in pair.INPUTS["vjp"]))
    check(dict(zip(pair.OUTPUTS["vjp"], results, strict=True)), p, pair.OUTPUTS["vjp"])


def test_verify_covers_every_output(pair_library):
    errors = pair_library.verify()
    assert set(errors) == {f"{kind}.{name}" for kind, names in pair.OUTPUTS.items() for name in names}


A, B, U, W = np.ones((4, 3)), np.ones((4, 2), np.float32), np.ones(4, np.float32), np.ones((4, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda lib: lib.value(A), ("b is missing", "pair.value(a, b)")),
        (lambda lib: lib.value(), ("a is missing",)),
        (lambda lib: lib.value(A, None), ("b is missing",)),
        (lambda lib: lib.value(A, B, c=A), ("c is no argument", "a, b")),
        (lambda lib: lib.value(A, B, a=A), ("a is given twice",)),
        (lambda lib: lib.value(A, B, B), ("too many", "pair.value(a, b)")),
        (lambda lib: lib.value(A, B[:3]), ("b", "[4, 2]", "[3, 2]", "as many points as a")),
        (lambda lib: lib.value(A, B[0]), ("b", "[4, 2]", "[2]")),
        (lambda lib: lib.value(A, B.astype(int)), ("b is not floating", "float32", "int64")),
        (lambda lib: lib.vjp(A, B), ("output_gradients", "2 arrays", "u, w")),
        (lambda lib: lib.vjp(A, B, output_gradients=U), ("output_gradients", "2 arrays", "ndarray")),
        (lambda lib: lib.vjp(A, B, output_gradients=(U,)), ("output_gradients", "1 arrays")),
        (lambda lib: lib.vjp(A, B, output_gradients={"u": U}), ("output_gradients", "u, w")),
        (lambda lib: lib.vjp(A, B, output_gradients=(U, A)), ("output_gradients_w", "[2]", "[4, 3]")),
        (lambda lib: lib.vjp(A, B, U, W, output_gradients=(U, W)), ("too many",)),
        (lambda lib: lib.jvp(A, B, tangents={"x": A, "b": B}), ("tangents", "a, b", "x, b")),
    ],
)
def test_wrong_arguments_are_told(pair_library, call, words):
    with pytest.raises(SignatureError) as caught:
        call(pair_library)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_kind_that_is_not_there(pair_library):
    for call in (lambda: pair_library.hvp(A, B, tangents=A), lambda: pair_library.call("hessian", A, B)):
        with pytest.raises(LibraryError, match="no such function") as caught:
            call()
        assert "value | jacobian | vjp | jvp" in str(caught.value)


def test_a_warning_names_the_users_line(pair_library, p):
    a = p["a"].copy()
    a[3, 0] = np.nan
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="not finite") as caught:
            pair_library.jacobian(a, p["b"])
        assert caught[0].filename == __file__
