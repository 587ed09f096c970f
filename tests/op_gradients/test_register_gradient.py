"""``register_gradient``: everywhere that TensorFlow differentiates, checked, scoped, and listed."""

from __future__ import annotations

import functools
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError, RuleError
from tfgradkit.op_gradients.register_gradient import register_gradient, registered_gradients
from tfgradkit.op_gradients.registry import ABSENT, carries, entry, names

IMAGE = np.array([[[0.5, 0.1, 0.9], [0.3, 0.2, 0.6]]])
# An op that nobody has a rule for, and that only hands its input on.
BARE = "GuaranteeConst"


def bare(x):
    return tf.raw_ops.GuaranteeConst(input=x)


def threefold(op, upstream):
    """Unmistakably not the derivative of the identity."""
    return 3 * upstream


def contrast_rule(op, upstream):
    images, factor = op.inputs
    mean = tf.reduce_mean(images, [-3, -2], keepdims=True)
    kept = tf.reduce_mean(upstream, [-3, -2], keepdims=True)
    factor = tf.cast(factor, images.dtype)
    by_factor = tf.reduce_sum(upstream * (images - mean))
    return kept + (upstream - kept) * factor, tf.cast(by_factor, tf.float32)


@pytest.fixture
def in_force():
    with register_gradient(BARE, threefold) as registration:
        yield registration


def test_the_gradient_of_adjust_contrast_by_image_and_factor():
    """TensorFlow's own example of an op without a gradient."""
    image, factor = tf.constant(IMAGE, tf.float32), tf.constant(1.7)
    slopes = {}
    for whose in ("user", "tfgradkit"):
        with register_gradient("AdjustContrastv2", contrast_rule) if whose == "user" else threading.Lock():
            with tf.GradientTape() as tape:
                tape.watch([image, factor])
                y = tf.reduce_sum(tf.image.adjust_contrast(image, factor) ** 2)
            slopes[whose] = tape.gradient(y, [image, factor])

    def value(x, f):
        mean = x.mean((0, 1))
        return np.sum((mean + (x - mean) * f) ** 2)

    units = np.eye(IMAGE.size).reshape(-1, *IMAGE.shape)
    by_image = [(value(IMAGE + 1e-5 * u, 1.7) - value(IMAGE - 1e-5 * u, 1.7)) / 2e-5 for u in units]
    by_factor = (value(IMAGE, 1.7 + 1e-5) - value(IMAGE, 1.7 - 1e-5)) / 2e-5
    for found in slopes.values():
        np.testing.assert_allclose(np.ravel(found[0]), by_image, rtol=1e-5)
        np.testing.assert_allclose(found[1], by_factor, rtol=1e-5)


@pytest.mark.parametrize("where", ["eager", "function", "jacobian", "jvp", "vectorize", "tile", "loop"])
def test_in_force_everywhere(where, in_force):
    x = tf.constant([[0.3, 2.0]])
    if where in ("eager", "function"):
        f = bare if where == "eager" else tf.function(bare)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        np.testing.assert_array_equal(tape.gradient(y, x), [[3, 3]])
    elif where == "jvp":
        np.testing.assert_array_equal(tgk.jvp(bare, batched=True)(x, tangents=x), 3 * x)
    else:
        strategy = "auto" if where == "jacobian" else where
        jacobian = tgk.jacobian(bare, batched=True, strategy=strategy)
        np.testing.assert_array_equal(jacobian(x), 3 * np.eye(2)[None])


def test_of_a_saved_model_after_loading(in_force, tmp_path):
    """Loading runs nothing but TensorFlow; the rule is this process's."""
    module = tf.Module()
    module.f = tf.function(lambda x: bare(x) ** 2, input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.f)
    loaded = tgk.load(tmp_path / "model")
    x = np.array([[0.5, 2.0]], "float32")
    np.testing.assert_allclose(tgk.jacobian(loaded)(x), [[[3, 0], [0, 12]]])


def doubled(op, upstream):
    """Twice the gradient."""
    return tuple(2 * g for g in contrast_rule(op, upstream))


def contrast(x):
    return tf.reshape(tf.image.adjust_contrast(tf.reshape(x, [1, 2, 3]), 1.7), [6])


def test_under_xla():
    x = IMAGE.ravel().astype("float32")
    exact = tgk.jacobian(contrast, jit_compile=True)(x)
    with register_gradient("AdjustContrastv2", doubled):
        np.testing.assert_allclose(tgk.jacobian(contrast, jit_compile=True)(x), 2 * exact, atol=1e-6)


def test_exported_it_stays_without_the_rule(tmp_path):
    x = IMAGE.ravel().astype("float32")
    exact = tgk.jacobian(contrast)(x)
    with register_gradient("AdjustContrastv2", doubled):
        tgk.export_saved_model(
            contrast, tmp_path / "model", ("jacobian",), input_specs=[tf.TensorSpec([6], tf.float32)]
        )
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.signatures["jacobian"](x=tf.constant(x[None]))
    np.testing.assert_allclose(found["jacobian"][0], 2 * exact, atol=1e-6)


def test_in_the_c_library(tmp_path):
    spec = tf.TensorSpec([6], tf.float32)
    exact = tgk.jacobian(contrast)(IMAGE.ravel().astype("float32"))
    with register_gradient("AdjustContrastv2", doubled):
        library = tgk.export_native(contrast, tmp_path / "contrast", "contrast", ("jacobian",), input_specs=[spec])
    _, jacobian = library.value_and_jacobian(IMAGE.ravel())
    np.testing.assert_allclose(jacobian, 2 * np.asarray(exact), atol=1e-6)


def test_a_tape_that_recorded_before_uses_it():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = bare(x)
    with register_gradient(BARE, threefold):
        np.testing.assert_array_equal(tape.gradient(y, x), [3, 3])


def statements(x):
    """Not a lambda: it goes through AutoGraph."""
    return tf.sin(x)


@pytest.mark.parametrize("f", [statements, lambda x: tf.sin(x), keras.layers.Activation(tf.sin)])
def test_a_derivative_is_traced_anew_for_other_rules_and_not_for_the_same(f):
    x = tf.constant([1.0, 2.0])
    derivative = tgk.jacobian(f, batched=False)
    own = derivative(x)
    for _ in range(2):
        with register_gradient("Sin", threefold, replace=True):
            np.testing.assert_array_equal(derivative(x), 3 * np.eye(2))
    np.testing.assert_array_equal(derivative(x), own)
    assert derivative.trace_count == 2


def test_it_ends_with_its_block_whatever_happens():
    with pytest.raises(ZeroDivisionError), register_gradient(BARE, threefold):
        raise ZeroDivisionError
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = bare(x)
    with pytest.raises(LookupError, match=BARE):
        tape.gradient(y, x)


def test_blocks_within_blocks_end_in_any_order():
    first = register_gradient(BARE, threefold)
    second = register_gradient(BARE, lambda op, u: 5 * u, replace=True)
    first.remove()
    np.testing.assert_array_equal(tgk.jacobian(bare)([1.0]), [[5]])
    second.remove()
    second.remove()
    assert entry(BARE) is ABSENT


def test_a_registration_can_be_set_in_force_again():
    registration = register_gradient(BARE, threefold)
    registration.remove()
    for _ in range(2):
        with registration:
            np.testing.assert_array_equal(tgk.jacobian(bare)([1.0]), [[3]])
        assert entry(BARE) is ABSENT


def test_a_rule_for_what_tensorflow_passes_over_is_heeded():
    def colours(x):
        return tf.raw_ops.HSVToRGB(images=x)

    pixel = np.array([[0.3, 0.5, 0.7]], "float32")
    with pytest.raises(GradientError, match="HSVToRGB"):
        tgk.jacobian(colours)(pixel)
    with register_gradient("HSVToRGB", lambda op, u: 2 * u, replace=True):
        np.testing.assert_array_equal(np.reshape(tgk.jacobian(colours)(pixel), [3, 3]), 2 * np.eye(3))


def test_for_the_whole_process_as_a_decorator(rules_as_before):
    @register_gradient(BARE, order=1)
    def rule(op, upstream):
        return 7 * upstream

    np.testing.assert_array_equal(tgk.jacobian(bare)([1.0]), [[7]])
    (found,) = [r for r in registered_gradients() if r.by == "user"]
    assert (found.op, found.order, found.replaces) == (BARE, 1, None)
    assert found.where.endswith(f"test_register_gradient.py:{rule.__code__.co_firstlineno}")
    with pytest.raises(RuleError, match="was registered before") as error:
        register_gradient(BARE, threefold)
    assert error.value.subject == BARE
    assert found.where in str(error.value)
    # The same again is a mistake, too; it takes replace=True, and leaves the earlier one behind.
    with pytest.raises(RuleError, match="replace=True"):
        register_gradient(BARE)(rule)
    with register_gradient(BARE, threefold, replace=True):
        assert next(r for r in registered_gradients() if r.op == BARE).replaces == "user"
    np.testing.assert_array_equal(tgk.jacobian(bare)([2.0]), [[7]])


def test_what_comes_with_the_toolkit_is_listed_and_gives_way():
    ours = {r.op: r for r in registered_gradients()}
    assert ours["AdjustContrastv2"].by == "tfgradkit"
    assert ours["AdjustContrastv2"].replaces is None
    assert ours["ResizeBilinear"].replaces == "TensorFlow"
    assert "ops/images.py:" in ours["AdjustContrastv2"].where
    assert list(ours) == sorted(ours)
    with register_gradient("AdjustContrastv2", contrast_rule):
        found = next(r for r in registered_gradients() if r.op == "AdjustContrastv2")
        assert (found.by, found.replaces) == ("user", "tfgradkit")
        assert str(found).startswith("AdjustContrastv2: by user, in place of tfgradkit's, ")
    assert {r.op: r for r in registered_gradients()} == ours


WRONG = {
    "unknown": ("adjust_contrast", threefold, "TensorFlow has no such op: adjust_contrast[^$]*AdjustContrastv2"),
    "nothing near": ("Qqqqq", threefold, "load the library"),
    "no string": (threefold, None, 'expected: "OpType"'),
    "no function": (BARE, 3, "a rule is a function[^$]*got: 3"),
    "arguments": (BARE, lambda op: None, r"does not take what the op gives[^$]*expected: rule\(op, output\)"),
    "own": ("Sin", threefold, "gradient of TensorFlow's own: Sin, [^$]*math_grad.py:"),
    "not differentiable": ("HSVToRGB", threefold, "registers the op as not differentiable[^$]*tf.custom_gradient"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_registered(name):
    op, rule, message = WRONG[name]
    with pytest.raises(RuleError, match=message):
        register_gradient(op, rule)


ANSWERS = {
    "too many": (lambda op, u: (u, u), r"wrong number of gradients: GuaranteeConst, .*\n  expected: 1, .*: input\n"),
    "shape": (lambda op, u: tf.reduce_sum(u), r"input 0: .*\n  expected: float32 \[2\]\n  got: float32 \[\]"),
    "dtype": (lambda op, u: tf.cast(u, tf.float64), r"expected: float32 \[2\]\n  got: float64 \[2\]"),
    "text": (lambda op, u: "u", r"input 0: .*\n  expected: a float32 tensor\n  got: 'u'"),
}


def taped(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = bare(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("how", [taped, tf.function(taped, autograph=False), tgk.jacobian(bare)])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_wrong_answer_says_op_input_expected_and_got(name, how):
    rule, message = ANSWERS[name]
    with register_gradient(BARE, rule), pytest.raises(RuleError, match=message):
        how(tf.constant([1.0, 2.0]))


def test_too_few_answers_name_the_inputs():
    with register_gradient("AdjustContrastv2", lambda op, u: u), pytest.raises(RuleError) as error:
        tgk.jacobian(lambda x: tf.image.adjust_contrast(x, 1.5))(IMAGE)
    assert error.value.expected == "2, one for each input: images, contrast_factor"
    assert error.value.got == 1


def test_an_integer_input_takes_none():
    def f(x):
        return tf.raw_ops.Bincount(arr=[0, 1, 0], size=2, weights=x)

    message = r"input 0: [^$]*expected: None, since int32 carries no gradient"
    with (
        register_gradient("Bincount", lambda op, u: (tf.ones([3]), None, None)),
        pytest.raises(RuleError, match=message),
    ):
        tgk.jacobian(f)([1.0, 2.0, 3.0])


def test_an_op_that_is_not_differentiable_takes_a_rule_of_what_comes_from_above():
    """A tape keeps nothing else of it."""
    x = tf.constant([1.2, 2.7])
    with register_gradient("Sign", lambda op, u: u, replace=True):
        np.testing.assert_array_equal(tgk.jacobian(tf.sign)(x), np.eye(2))
    with register_gradient("HSVToRGB", lambda op, u: u * op.inputs[0], replace=True), tf.GradientTape() as tape:
        pixel = tf.constant([[0.3, 0.5, 0.7]])
        tape.watch(pixel)
        y = tf.raw_ops.HSVToRGB(images=pixel)
        with pytest.raises(RuleError, match=r"want of an input or a result that the tape has not kept: HSVToRGB, "):
            tape.gradient(y, pixel)


def test_partial_functions_and_objects_are_rules():
    class Scaled:
        def __call__(self, op, upstream):
            return 2 * upstream

    for rule in (functools.partial(lambda factor, op, u: factor * u, 2), Scaled()):
        with register_gradient(BARE, rule):
            np.testing.assert_array_equal(tgk.jacobian(bare)([1.0]), [[2]])
            assert "test_register_gradient.py:" in next(r.where for r in registered_gradients() if r.op == BARE)


def test_threads_that_register_and_take_back_at_the_same_time():
    """Each an op of its own, many times; none disturbs another's."""
    ops = [op for op in names() if carries(op) and entry(op) is ABSENT][:6]
    assert len(ops) == 6
    failures = []

    def work(op):
        def rule(op, *upstream):
            return upstream[0]

        for _ in range(200):
            with register_gradient(op, rule):
                if entry(op) is ABSENT:
                    failures.append(op)
            if entry(op) is not ABSENT:
                failures.append(op)

    threads = [threading.Thread(target=work, args=(op,)) for op in ops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
