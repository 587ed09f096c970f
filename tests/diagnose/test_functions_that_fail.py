"""Functions that TensorFlow can't trace, or that raise: every way to look at them says the same as an operator."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import TfGradKitError

X = np.arange(6.0).reshape(2, 3)
SPEC = tf.TensorSpec([2, 3], tf.float64)

LOOKS = {
    "jacobian": lambda f, _: tgk.jacobian(f)(X),
    "audit": lambda f, _: tgk.audit(f, X),
    "graph_tree": lambda f, _: tgk.graph_tree(f, X),
    "graph_summary": lambda f, _: tgk.graph_summary(f, X),
    "simplify": lambda f, _: tgk.simplify(f, X),
    "check_gradients": lambda f, _: tgk.check_gradients(f, X),
    "check_batch_independence": lambda f, _: tgk.check_batch_independence(f, X),
    "locate_nonfinite": lambda f, _: tgk.locate_nonfinite(f, X),
    "export_saved_model": lambda f, folder: tgk.export_saved_model(f, folder / "made", input_specs=SPEC),
    "export_native": lambda f, folder: tgk.export_native(f, folder / "made", "made", input_specs=SPEC),
}
FUNCTIONS = {
    "shapes that don't fit": lambda x: tf.matmul(x, tf.ones([2, 2], x.dtype)),
    "dtypes that don't fit": lambda x: x + tf.ones([2, 3], tf.float32),
    "NumPy": lambda x: tf.constant(x.numpy()) * 2,
    "a Python number": lambda x: x * int(x[0, 0]),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("look", LOOKS)
def test_it_is_told(look, function, tmp_path):
    with pytest.raises(TfGradKitError) as told:
        LOOKS[look](FUNCTIONS[function], tmp_path)
    assert "test_functions_that_fail.py, line" in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("look", LOOKS)
def test_an_exception_of_the_users_stays(look, tmp_path):
    def fails(x):
        raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="of the user's"):
        LOOKS[look](fails, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["shapes that don't fit", "dtypes that don't fit"])
def test_explain_runs_it_eagerly(function):
    with pytest.raises(TfGradKitError):
        tgk.explain(FUNCTIONS[function], X)


def test_a_wrong_call_is_python_s_own():
    with pytest.raises(TypeError, match="fn"):
        tgk.explain()
