"""The interpreter of graphs, by two small domains; and every diagnosis, on functions that call functions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.graph.emit import executed
from tfgradkit.graph.interpret import Abstract, Concrete, in_order, needed
from tfgradkit.graph.ops import LOOPS, called_graphs, everywhere, functions_of

X = tf.constant([[0.5, 1.0, 1.5], [2.0, 0.25, 0.75]])


@tf.function
def root(x):
    return tf.sin(x) * tf.sqrt(x)


@tf.function
def pair(x, c):
    return tf.sin(x), tf.cos(c)


@tf.function
def chosen(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: root(x) * x, lambda: tf.exp(x))


@tf.function
def one_of_three(x):
    return tf.switch_case(tf.cast(tf.reduce_sum(x) > 100, tf.int32), [lambda: tf.sin(x), lambda: x * x, lambda: x])


@tf.function
def repeated(x):
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y) * 1.1), [0, x], maximum_iterations=3)[1]


@tf.function
def repeated_choice(x):
    def turn(i, y):
        return i + 1, tf.cond(i > 1, lambda: root(y), lambda: y * y)

    return tf.while_loop(lambda i, y: i < 3, turn, [0, x], maximum_iterations=3)[1]


def slope_of(function):
    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(function(x) * x)
        return tape.gradient(y, x)

    return slope


FUNCTIONS = {
    "a call": lambda x: root(x),
    "called twice": lambda x: root(x) + root(2.0 * x),
    "one of two results": lambda x: pair(x, tf.constant(1.0))[0] * x,
    "cond in a call": lambda x: chosen(x),
    "case in a call": lambda x: one_of_three(x),
    "loop in a call": lambda x: repeated(x),
    "cond in a loop in a call": lambda x: repeated_choice(x),
    "all of them, twice": lambda x: chosen(one_of_three(x)) + repeated(chosen(x)),
    "a gradient taken inside": lambda x: slope_of(lambda y: y * y * y)(x),
    "a gradient of a call": lambda x: slope_of(root)(x) + root(x),
    "a gradient of a cond": lambda x: slope_of(chosen)(x),
    "a gradient of a case": lambda x: slope_of(one_of_three)(x),
    "a gradient of a loop": lambda x: slope_of(repeated)(x),
}


def traced(function, *specs):
    return tf.function(function, autograph=False).get_concrete_function(*specs).graph


def with_gradient(graph):
    """What TensorFlow gives, after which the functions of the graph have results that their calls don't have."""
    with graph.as_default():
        return tf.gradients(graph.outputs, graph.inputs[0])


class Names(Abstract[frozenset]):
    """The names of the arguments that a tensor depends on."""

    def __init__(self, graph):
        super().__init__({x.ref(): frozenset([x.op.name]) for x in graph.inputs})
        self.asked, self.left = [], []

    def op(self, operation, inputs):
        self.asked.append((operation.type, tuple(caller.type for caller in self.callers)))
        return [frozenset().union(*(names for names in inputs if names))] * len(operation.outputs)

    def either(self, first, second):
        return first | second

    def custom_gradient(self, operation, inputs):
        return [frozenset(["custom"])] * len(operation.outputs)

    def leave(self, inner, caller, graph):
        self.left.append(caller.type)


class Numbers(Concrete[np.ndarray]):
    """The values of one run."""

    def op(self, operation, inputs):
        return [value.numpy() if value.dtype != tf.variant else value for value in executed(operation, inputs)]

    def number(self, value):
        return value


def names(function, *specs):
    graph = traced(function, *specs)
    return [sorted(found or ()) for found in Names(graph).run(graph.get_operations(), graph.outputs)]


A, B = tf.TensorSpec([2], name="a"), tf.TensorSpec([2], name="b")


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("differentiated", [False, True])
def test_a_run_of_the_graph_gives_the_functions_values(function, differentiated):
    graph = traced(function, tf.TensorSpec(X.shape))
    if differentiated:
        with_gradient(graph)
    captured = {inner.ref(): outer for outer, inner in graph.captures}
    values = {graph.inputs[0].ref(): X.numpy(), **captured}
    (found,) = Numbers(values).run(needed(graph.get_operations(), lambda op: op is graph.outputs[0].op), graph.outputs)
    np.testing.assert_allclose(found, function(X), rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_gradient_is_run_too(function):
    graph = traced(function, tf.TensorSpec(X.shape))
    (gradient,) = with_gradient(graph)
    values = {graph.inputs[0].ref(): X.numpy(), **{inner.ref(): outer for outer, inner in graph.captures}}
    (found,) = Numbers(values).run(needed(graph.get_operations(), lambda op: op is gradient.op), [gradient])
    with tf.GradientTape() as tape:
        tape.watch(X)
        y = function(X)
    np.testing.assert_allclose(found, tape.gradient(y, X), rtol=1e-4, atol=1e-5)


def test_each_result_of_a_function_has_its_own_value():
    assert names(lambda a, b: pair(a, b), A, B) == [["a"], ["b"]]


def test_a_function_is_followed_anew_for_each_call():
    assert names(lambda a, b: [root(a), root(b), root(a + b)], A, B) == [["a"], ["b"], ["a", "b"]]


def test_what_a_function_closes_over_comes_from_its_caller():
    def outer(a, b):
        return tf.function(lambda x: x + b)(a)

    assert names(outer, A, B) == [["a", "b"]]


def test_branches_are_joined_and_the_choice_is_no_part():
    def branches(a, b):
        choice = tf.cond(tf.reduce_sum(a) > 0, lambda: b * 1.0, lambda: tf.ones([2]))
        return choice, tf.switch_case(tf.cast(a[0], tf.int32), [lambda: a * 1.0, lambda: b * 1.0])

    assert names(branches, A, B) == [["b"], ["a", "b"]]


def test_a_loop_is_followed_until_nothing_changes():
    def moved(a, b):
        return tf.while_loop(
            lambda i, x, y, z: i < 3, lambda i, x, y, z: (i + 1, tf.sin(y), tf.sin(z), z), [0, b, b, a]
        )[1:]

    assert names(moved, A, B) == [["a", "b"], ["a", "b"], ["a"]]


def test_a_loop_that_needs_more_turns_than_allowed_is_opaque():
    class Impatient(Names):
        turns = 1

        def opaque(self, operation, inputs):
            return [frozenset(["opaque"])] * len(operation.outputs)

    graph = traced(lambda a, b: tf.while_loop(lambda i, x, y: i < 3, lambda i, x, y: (i + 1, y, y), [0, a, b]), A, B)
    assert Impatient(graph).run(graph.get_operations(), graph.outputs)[1] == {"opaque"}


def test_a_domain_is_told_of_custom_gradients_and_of_callers():
    @tf.custom_gradient
    def own(x):
        return tf.round(x), lambda u: u

    inner = tf.function(lambda x: tf.cos(x))
    graph = traced(lambda a: (own(a), tf.cond(a[0] > 0, lambda: inner(a), lambda: a)), A)
    walk = Names(graph)
    assert walk.run(graph.get_operations(), graph.outputs)[0] == {"custom"}
    assert ("Cos", ("StatelessIf", "StatefulPartitionedCall")) in walk.asked or (
        "Cos",
        ("StatelessIf", "PartitionedCall"),
    ) in walk.asked
    assert "StatelessIf" in walk.left


def test_results_that_a_gradient_added_are_not_those_of_the_call():
    graph = traced(lambda a: root(a) + root(2.0 * a), A)
    with_gradient(graph)
    calls = [operation for operation in graph.get_operations() if functions_of(operation)]
    assert any(len(functions_of(call)[0].outputs) > 1 for call in calls)
    assert Names(graph).run(graph.get_operations(), graph.outputs) == [{"a"}]


def test_a_loop_that_was_differentiated_runs_after_what_it_was_given_later():
    graph = traced(lambda a: repeated(a), A)
    (body,) = [functions_of(op)[0] for op in graph.get_operations() if functions_of(op)]
    with body.as_default():
        tf.gradients(body.outputs[0], body.inputs[0])
    operations = body.get_operations()
    loop = next(op for op in operations if op.type in LOOPS)
    late = [tensor.op for tensor in loop.inputs if operations.index(tensor.op) > operations.index(loop)]
    ordered = in_order(operations)
    assert late
    assert sorted(op.name for op in ordered) == sorted(op.name for op in operations)
    assert all(ordered.index(op) < ordered.index(loop) for op in late)


def test_everywhere_goes_into_all_functions():
    graph = traced(FUNCTIONS["all of them, twice"], A)
    types = [operation.type for operation in everywhere(graph.get_operations())]
    assert {"Sqrt", "Exp", "Less", "StatelessIf", "StatelessCase", "StatelessWhile"} <= set(types)
    assert not any(called_graphs(operation) for operation in graph.get_operations() if operation.type == "Const")


def flattened(function):
    return lambda v: tf.reshape(function(tf.reshape(v, X.shape)), [-1])


DIAGNOSES = {
    "explain": lambda f: tgk.explain(f, X).ok,
    "audit": lambda f: tgk.audit(f, X).ok,
    "locate_nonfinite": lambda f: tgk.locate_nonfinite(f, X).ok,
    "check_gradients": lambda f: tgk.check_gradients(f, X).ok,
    "check_batch_independence": lambda f: tgk.check_batch_independence(f, X).status != "coupled",
    "graph_tree": lambda f: "x" in str(tgk.graph_tree(f, X)),
}
# Quick enough with every function; those that differentiate anew have fewer.
DERIVATIVES = {
    "graph_summary": lambda f: tgk.graph_summary(f, X),
    "structure": lambda f: tgk.structure(tgk.jacobian(flattened(f), batched=False), tf.reshape(X, [-1])),
    "simplify": lambda f: tgk.simplify(f, X),
    "laplacian": lambda f: tgk.laplacian(f)(X),
    "sparse_jacobian": lambda f: tgk.sparse_jacobian(f)(X),
}
FEW = ("called twice", "cond in a loop in a call", "all of them, twice", "a gradient of a call")


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("diagnosis", DIAGNOSES.values(), ids=DIAGNOSES)
def test_every_diagnosis_takes_functions_that_call_functions(diagnosis, function):
    assert diagnosis(function)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
def test_derivatives_that_read_graphs_take_them_too(derivative, name):
    assert derivative(FUNCTIONS[name]) is not None


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_an_overridden_gradient_takes_them_too(function):
    same = tgk.override_gradient(function, {"Mul": lambda operation, upstream: operation.vjp(upstream)})
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(X)
        ys = function(X), same(X)
    np.testing.assert_allclose(ys[1], ys[0], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(ys[1], X), tape.gradient(ys[0], X), rtol=1e-4, atol=1e-5)


def test_an_override_leaves_the_users_function_as_it_was():
    before = tf.reduce_sum(chosen(X))
    other = tgk.override_gradient(lambda x: chosen(tf.sin(x)), {"Sin": lambda operation, upstream: upstream})
    with tf.GradientTape() as tape:
        tape.watch(X)
        y = other(X)
    tape.gradient(y, X)
    np.testing.assert_allclose(tgk.gradient(lambda x: tf.reduce_sum(chosen(x)))(X).shape, X.shape)
    np.testing.assert_allclose(tf.reduce_sum(chosen(X)), before)


def test_the_root_of_zero_is_located_inside_a_called_function():
    found = tgk.locate_nonfinite(lambda x: tf.reduce_sum(root(x)), tf.constant([0.0, 1.0]))
    assert (found.ok, found.op, found.compiled_only) == (False, "SqrtGrad", True)
