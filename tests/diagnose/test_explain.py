"""``explain`` and ``ExplainingTape``: every way a gradient goes missing, against what TensorFlow's own tape returns."""

from __future__ import annotations

import os
from textwrap import dedent

import keras
import none_cases
import numpy as np
import pytest
import tensorflow as tf
from healthy_models import healthy, reaches
from models import BRANCH, activation_branches, branches, build, layer_branches, mlp
from none_cases import CASES, FILE

import tfgradkit as tgk
from tfgradkit.diagnose.explain.explanation import CAUSES
from tfgradkit.diagnose.explain.remedies import ADDED
from tfgradkit.errors import SignatureError
from tfgradkit.op_gradients.registry import ABSENT, SHIPPED

L = keras.layers
X = tf.constant([1.0, 2.0])
MODELS = range(100 if os.environ.get("TFGRADKIT_SWEEP") else 8)
IDS = [case.title for case in CASES]
FIXED = [case for case in CASES if case.fixed]


@pytest.fixture
def stock(monkeypatch):
    """TensorFlow without the gradients that tfgradkit adds, whatever other tests have imported."""
    from tensorflow.python.framework.ops import gradient_registry

    for op, shipped in SHIPPED.items():
        if shipped.replaces is ABSENT:
            monkeypatch.delitem(gradient_registry._registry, op, raising=False)


def plain(code):
    """A case's code with TensorFlow's own tape, and nothing explained."""
    lines = [line for line in dedent(code).strip().splitlines() if not line.strip().startswith("explanation =")]
    text = "\n".join(lines).replace("tgk.ExplainingTape()", "tf.GradientTape(persistent=True)")
    return text.replace("tgk.ExplainingTape(", "tf.GradientTape(persistent=True, ")


def ask(gradient):
    """How a tape answers."""
    try:
        found = gradient()
    except LookupError:
        return "error"
    if found is None:
        return "none"
    return "connected" if np.any(tf.convert_to_tensor(found).numpy() != 0) else "zero"


def truth(code):
    """The statuses that TensorFlow's tape gives, outputs outside."""
    names = none_cases.run(plain(code))
    if "tape" in names:
        sources = tf.nest.flatten(names["sources"])
        return [ask(lambda x=x: names["tape"].gradient(names["target"], x)) for x in sources]
    return of_function(names["f"], names["arguments"])


def of_function(f, arguments):
    tensors = [tf.convert_to_tensor(x) for x in arguments]
    try:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tensors)
            y = f(*tensors)
    except (LookupError, NotImplementedError):
        return ["error"] * len(tensors)
    outputs = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(y)]
    return [ask(lambda t=t, x=x: tape.gradient(t, x)) for t in outputs for x in tensors]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_case(case, stock):
    explanation = none_cases.explained(case.code)
    lines = dedent(case.code).strip().splitlines()
    finding = explanation.findings[-1]
    assert (finding.status, finding.cause) == (case.status, case.cause)
    assert finding.where in [f"{FILE}:{i}" for i, line in enumerate(lines, 1) if case.at in line]
    assert case.at in finding.code
    assert case.op is None or finding.op == case.op
    assert [c.status for c in explanation] == truth(case.code)


@pytest.mark.parametrize("case", FIXED, ids=[case.title for case in FIXED])
def test_the_healthy_twin(case):
    explanation = none_cases.run(case.fixed)["explanation"]
    assert explanation.ok, str(explanation)
    assert set(truth(case.fixed)) == {"connected"}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_message_fits_a_terminal_and_says_what_to_do(case):
    explanation = none_cases.explained(case.code)
    own = {finding.code for finding in explanation.findings}
    for line in str(explanation).splitlines():
        assert len(line) <= 80 or line.strip() in own or "try:" in line, line
    for finding in explanation.findings:
        assert finding.input in str(finding)
        assert finding.why.endswith(".")
        assert finding.remedy.split("  #")[0].split("\n")[0] in str(finding)


def test_the_page_is_current(root):
    import why_none

    assert why_none.PAGE.read_text() == why_none.page(), "run scripts/why_none.py"


def test_every_documented_cause_has_a_case():
    assert {case.cause for case in CASES} == set(CAUSES)


def test_ops_said_to_get_a_gradient_here_do():
    import tfgradkit.op_gradients.ops  # noqa: F401

    assert {op for op, shipped in SHIPPED.items() if shipped.replaces is ABSENT} >= ADDED


def test_a_gradient_that_only_tfgradkit_has_is_an_error_of_tensorflow():
    import tfgradkit.op_gradients.ops  # noqa: F401

    image = tf.constant([[[0.5, 0.0, 0.1]]])
    for f in (lambda x: tf.image.adjust_contrast(x, 2.0), tf.function(lambda x: tf.image.adjust_contrast(x, 2.0))):
        (connection,) = tgk.explain(f, image)
        assert (connection.status, connection.cause, connection.op) == ("error", "unregistered", "AdjustContrastv2")
        assert "tgk.gradient" in connection.remedy
        assert np.any(tgk.gradient(lambda x, f=f: tf.reduce_sum(f(x) ** 2))(image))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [layer_branches, activation_branches])
def test_no_false_alarm_in_models(make, dtype):
    model = build(lambda: branches(make()), dtype)
    x = np.random.default_rng(0).normal(size=(8, BRANCH))
    # Some activations are flat by themselves for some inputs; a tape tells which of their weights get zeros.
    with tf.GradientTape() as tape:
        y = model(x)
    expected = [ask(lambda g=g: g) for g in tape.gradient(y, model.trainable_variables)]
    assert tgk.explain(model, x).ok
    assert [c.status for c in tgk.explain(model, x, wrt="parameters")] == expected
    assert expected.count("connected") == len(expected)


RECURRENT = {"lstm": L.LSTM(3), "gru": L.GRU(3, unroll=True), "rnn": L.Bidirectional(L.SimpleRNN(2))}


@pytest.mark.parametrize("name", RECURRENT)
def test_no_false_alarm_in_recurrent_layers(name):
    model = keras.Sequential([keras.Input((4, 2)), RECURRENT[name], L.Dropout(0.5), L.Dense(1)])
    x = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")
    assert tgk.explain(model, x).ok
    assert tgk.explain(model, wrt="parameters").ok
    assert tgk.explain(model, x, training=True).ok


HEALTHY = {
    "python": lambda x: 2 * x[0] ** 2 + x[1],
    "a loop of a graph": lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y)), (0, x))[1],
    "map_fn": lambda x: tf.map_fn(lambda a: a**2, x),
    "scan": lambda x: tf.scan(lambda a, b: a * b, x),
    "gather": lambda x: tf.gather(x, [1, 0, 1]),
    "py_function": lambda x: tf.py_function(tf.sin, [x], tf.float32),
    "custom gradient": tf.nn.silu,
    "recomputed": tf.recompute_grad(lambda x: tf.sin(x)),
    "cholesky": lambda x: tf.linalg.cholesky(tf.linalg.diag(x)),
    "resize": lambda x: tf.image.resize(tf.reshape(x, [1, 2, 1, 1]), [4, 4]),
    "complex": lambda x: tf.abs(tf.signal.fft(tf.cast(x, tf.complex64))),
    "half": lambda x: tf.cast(tf.cast(x, tf.float16), tf.float64),
    "printed": lambda x: (print(end=str(x.numpy())[:0]), x**2)[1],
    "shape": lambda x: x / float(np.prod(x.shape)),
    "straight through": lambda x: x + tf.stop_gradient(tf.round(x) - x),
    "choice": lambda x: tf.where(x > 1.5, x, 2 * x),
    "stationary": lambda x: (x - X) ** 2,
    "variable of its own": lambda x: tf.Variable(2.0) * x,
    "jacobian": tgk.jacobian(lambda x: x**3),
}


EAGER = ("variable of its own", "printed", "jacobian")


@pytest.mark.parametrize("name", HEALTHY)
def test_no_false_alarm(name):
    explanation = tgk.explain(HEALTHY[name], X)
    assert explanation.ok, str(explanation)


@pytest.mark.parametrize("name", [name for name in HEALTHY if name not in EAGER])
def test_no_false_alarm_in_a_graph(name):
    explanation = tgk.explain(tf.function(HEALTHY[name]), X)
    assert explanation.ok, str(explanation)


# The gradient of the sum of their elements is zero, or rounding.
CONSTANT_SUM = {
    "softmax": tf.nn.softmax,
    "without its mean": lambda x: x - tf.reduce_mean(x),
    "opposites": lambda x: tf.stack([x, -x]),
    "differences": lambda x: x - tf.roll(x, 1, 0),
    "a rotation": lambda x: tf.stack([x[0] - x[1], x[1] - x[0]]),
    "behind an op": lambda x: tf.nn.softmax(tf.tanh(x)),
    "in Python": lambda x: tf.py_function(lambda a: tf.stack([a, -a]), [x], tf.float32),
}


@pytest.mark.parametrize("name", CONSTANT_SUM)
def test_a_constant_sum_is_no_dead_output(name):
    explanation = tgk.explain(CONSTANT_SUM[name], X)
    assert explanation.ok, str(explanation)


def test_a_constant_sum_is_explained():
    with tgk.ExplainingTape() as tape:
        tape.watch(X)
        y = tf.stack([X, -X])
    explanation = tape.explain(y, X)
    assert explanation.ok
    assert not np.any(tape.gradient(y, X))
    assert "output_gradients" in str(explanation)


# Dead whatever is asked, and the op where it ends, not the one that hides it.
DEAD = {
    "Relu": lambda x: tf.nn.softmax(tf.nn.relu(x - 9)),
    "Tanh": lambda x: (lambda z: z - tf.reduce_mean(z))(tf.tanh(100 * x)),
    "Sigmoid": lambda x: tf.stack([tf.sigmoid(200 * x), -tf.sigmoid(200 * x)]),
    "StopGradient": lambda x: tf.nn.softmax(tf.stop_gradient(x)),
    "Softmax": lambda x: tf.nn.softmax(tf.constant([200.0, 0.0]) + x),
}


@pytest.mark.parametrize("op", DEAD)
def test_what_is_dead_is_told(op):
    (connection,) = tgk.explain(DEAD[op], X)
    assert (connection.status, connection.op) == (of_function(DEAD[op], [X])[0], op)
    assert connection.status != "connected"


@pytest.mark.parametrize("seed", MODELS)
def test_no_false_alarm_in_healthy_models(seed):
    model, x, training = healthy(seed)
    assert reaches(model, x, training), "the generator made no healthy model"
    explanation = tgk.explain(model, x, training=training)
    assert explanation.ok, str(explanation)


def test_every_pair_in_nests():
    def f(a, b):
        return {"sum": a["x"] + b[0], "first": 2 * a["x"], "rest": [tf.stop_gradient(b[0]) * b[1]]}

    explanation = tgk.explain(f, {"x": X, "n": X}, [X, 3.0])
    assert [(c.output, c.input) for c in explanation] == [
        (y, x) for y in ("y['first']", "y['rest'][0]", "y['sum']") for x in ("a['n']", "a['x']", "b[0]", "b[1]")
    ]
    found = {(c.output, c.input): (c.status, c.cause) for c in explanation.findings}
    assert found["y['rest'][0]", "b[0]"] == ("none", "stop_gradient")
    assert found["y['first']", "a['n']"] == ("none", "unused")
    assert ("y['rest'][0]", "b[1]") not in found
    assert "12 connected" in str(explanation)


def test_parameters_of_a_model():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.frozen = L.Dense(3, name="frozen", trainable=False)
            self.used, self.spare = L.Dense(2, name="used"), L.Dense(2, name="spare")
            self.spare.build((None, 3))

        def call(self, x):
            return self.used(self.frozen(x))

    model = Network()
    model(X[None])
    explanation = tgk.explain(model, X[None], wrt="parameters")
    found = {c.input: (c.status, c.cause, c.layer) for c in explanation.findings}
    assert found == {
        f"{model.name}/frozen/kernel": ("none", "not_trainable", "frozen"),
        f"{model.name}/frozen/bias": ("none", "not_trainable", "frozen"),
        "spare/kernel": ("none", "unused", "spare"),
        "spare/bias": ("none", "unused", "spare"),
    }
    assert 'get_layer("frozen").trainable = True' in explanation[0].remedy
    assert all(c.where.startswith("test_explain.py:") for c in explanation.findings)


def test_a_layer_in_the_other_branch():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = L.Dense(2, name="one"), L.Dense(2, name="two")

        def call(self, x, training=False):
            if training:
                return self.one(x)
            return self.two(x) + 0 * self.count_params()

    model = Network()
    model.one.build((None, 2))
    model.two.build((None, 2))
    explanation = tgk.explain(model, X[None], wrt="parameters")
    assert [c.cause for c in explanation] == ["branch_not_taken", "branch_not_taken", None, None]
    assert (explanation[0].code, explanation[0].layer) == ("if training:", "one")


def test_the_line_is_written_anew():
    def f(x):
        return tf.constant(np.tanh(x.numpy()) + np.ones(2, "float32"))

    (connection,) = tgk.explain(f, X)
    assert connection.remedy.splitlines()[1] == "return tf.constant(tnp.tanh(x) + np.ones(2, 'float32'))"


def test_parameters_around_a_function():
    weights, fixed = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 1.0], trainable=False)
    explanation = tgk.explain(lambda x: x * weights + fixed, X, wrt="parameters")
    assert {c.input: (c.status, c.cause) for c in explanation} == {
        "weights": ("connected", None),
        "fixed": ("none", "not_trainable"),
    }
    assert tgk.explain(lambda x: x * weights, X, wrt=[weights]).ok


def test_the_innermost_layer_and_line_in_a_model():
    def rounded(x):
        return tf.round(x)

    model = keras.Sequential([keras.Input((2,)), L.Dense(2), L.Lambda(rounded, name="steps"), L.Dense(1)])
    (connection,) = tgk.explain(model)
    line = rounded.__code__.co_firstlineno + 1
    assert (connection.where, connection.layer) == (f"test_explain.py:{line}", "steps")
    assert connection.remedy == "return x + tf.stop_gradient(tf.round(x) - x)"


def test_nan_is_connected_and_said():
    (connection,) = tgk.explain(lambda x: tf.where(x > 1.5, x, tf.sqrt(x - 3)), X)
    assert connection.status == "connected"
    assert "locate_nonfinite" in str(connection)


def test_numpy_in_a_python_function_of_tensorflow():
    f = lambda x: tf.py_function(lambda a: np.sin(a.numpy()), [x], tf.float32)  # noqa: E731
    (connection,) = tgk.explain(f, X)
    assert connection.status == of_function(f, [X])[0]
    assert connection.cause == "left_tensorflow"


def test_a_restored_saved_model(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: tf.floor(x) * 2, input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(module, str(tmp_path / "m"))
    restored = tf.saved_model.load(str(tmp_path / "m")).f
    (connection,) = tgk.explain(restored, X)
    assert (connection.cause, connection.op) == ("not_differentiable", "Floor")
    assert connection.status == of_function(restored, [X])[0]


def test_bad_input():
    model = build(mlp(2, 1, 2), "float32")
    with pytest.raises(SignatureError, match="KerasTensor"):
        tgk.explain(model, model.inputs[0])
    with pytest.raises(SignatureError, match="holds no tensor"):
        tgk.explain(lambda x: None, X)
    with pytest.raises(SignatureError, match="no argument is a tensor"):
        tgk.explain(lambda x: X, "text")
    with pytest.raises(SignatureError, match="no such variables"):
        tgk.explain(lambda x: x, X, wrt="weights")
    with pytest.raises(SignatureError, match="no specs of its own"):
        tgk.explain(lambda x: x)


def test_an_error_of_the_function_itself_comes_through_and_nothing_stays_hooked():
    stock = tf.constant(0.0).numpy.__func__, type(tf.constant(0.0))._numpy
    with pytest.raises(ZeroDivisionError):
        tgk.explain(lambda x: 1 / 0, X)
    assert (tf.constant(0.0).numpy.__func__, type(tf.constant(0.0))._numpy) == stock
    assert tgk.explain(lambda x: 2 * x, X).ok
