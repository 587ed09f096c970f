"""The derivatives of operator_cases.py as they are written with tapes alone."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from operator_cases import Case

Call = Callable[[tf.Tensor], tf.Tensor]


def tapes(case: Case, function: Callable[[tf.Tensor], tf.Tensor]) -> dict[str, Call]:
    """Functions of a tensor by name; the first is what is called eagerly, too."""

    def batch_jacobian(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.batch_jacobian(y, x)

    def jacobian(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.jacobian(y, x)

    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    def hessian(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            slopes = gradient(x)
        return tape.batch_jacobian(slopes, x)

    def each_input(x: tf.Tensor) -> tf.Tensor:
        bends = []
        for i in range(x.shape[1]):
            with tf.GradientTape() as tape:
                tape.watch(x)
                column = gradient(x)[:, i]
            bends.append(tape.gradient(column, x)[:, i])
        return tf.add_n(bends)

    def one_gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            columns = tf.unstack(gradient(x), axis=1)
        return tf.add_n([tape.gradient(column, x)[:, i] for i, column in enumerate(columns)])

    def trace(x: tf.Tensor) -> tf.Tensor:
        return tf.linalg.trace(hessian(x))

    found: dict[str, dict[str, Call]] = {
        "jacobian": {"`tape.batch_jacobian`": batch_jacobian, "`tape.jacobian`": jacobian},
        "hessian": {"nested tapes": hessian},
        "laplacian": {
            "nested tapes": each_input,
            "nested tapes, one gradient": one_gradient,
            "trace of `tape.batch_jacobian`": trace,
        },
        "sparse": {"`tape.jacobian`": jacobian} if case.name == "sparse" else {"`tape.batch_jacobian`": batch_jacobian},
    }
    return found[case.kind]
