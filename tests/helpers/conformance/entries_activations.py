"""Activation functions: ``tf.nn``, ``keras.activations`` and ``keras.ops``, at zero, far out, and with parameters."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from .entries_unary import WHOLE, each
from .entry import entry

act, ops, nn = keras.activations, keras.ops, tf.nn
X = np.array([[0.3, -0.7, 1.2, -2.1], [-0.4, 0.9, 2.2, -1.1]])
FAR = np.array([[40.0, -35.0, 1.0, 0.0], [3.0, 3.0, 3.0, 3.0]])
ZERO = 0 * X
_FAR = (*WHOLE, [40.0, -50.0, 5.5])

ENTRIES = [
    *each("tf.nn", nn, _FAR, "silu swish tanh sigmoid softplus softsign gelu", orders=3),
    *each("tf.nn", nn, _FAR, "elu selu relu6 leaky_relu crelu"),
    *each(
        "keras.activations",
        act,
        _FAR,
        "softplus softsign silu gelu tanh sigmoid exponential log_sigmoid mish",
        orders=3,
    ),
    *each("keras.activations", act, _FAR, "squareplus tanh_shrink linear", orders=3),
    *each("keras.activations", act, _FAR, "relu leaky_relu relu6 elu selu soft_shrink sparse_plus celu hard_tanh"),
    *each("keras.activations", act, _FAR, "hard_shrink hard_sigmoid sparse_sigmoid hard_silu"),
    *each("keras.ops", ops, _FAR, "softsign silu gelu sigmoid log_sigmoid squareplus tanh_shrink", orders=3),
    *each("keras.ops", ops, _FAR, "relu leaky_relu relu6 elu selu soft_shrink sparse_plus celu hard_tanh"),
    *each("keras.ops", ops, _FAR, "hard_shrink hard_sigmoid sparse_sigmoid hard_silu"),
    entry("tf.nn.silu, beta 1.7", lambda x: nn.silu(x, beta=1.7), *WHOLE, orders=3),
    entry(
        "tf.nn.silu, beta a tensor of each",
        lambda x, b: nn.silu(x, beta=b),
        ([0.3, -0.7, 1.2], [1.1, 0.4, 2.0]),
        ([0.0, 1.0, -1.0], [0.0, 1.0, 1.0]),
        orders=3,
    ),
    entry(
        "tf.nn.silu, beta a scalar",
        lambda x, b: nn.silu(x, beta=b),
        ([0.3, -0.7, 1.2], 1.3),
        ([0.0, 1.0, -1.0], 0.0),
        orders=3,
    ),
    entry("tf.nn.swish, beta of x", lambda x: nn.swish(x, beta=x), *WHOLE, orders=3),
    entry("tf.nn.gelu, approximate", lambda x: nn.gelu(x, approximate=True), *_FAR, orders=3),
    entry("keras.activations.gelu, approximate", lambda x: act.gelu(x, approximate=True), *_FAR, orders=3),
    entry("tf.nn.leaky_relu, alpha", lambda x: nn.leaky_relu(x, 0.4), *WHOLE),
    entry("tf.nn.leaky_relu squared", lambda x: nn.leaky_relu(x, 0.4) ** 2, *WHOLE),
    entry("tf.nn.relu squared", lambda x: nn.relu(x) ** 2, *WHOLE),
    entry("tf.nn.relu cubed", lambda x: nn.relu(x) ** 3, *WHOLE),
    entry("tf.nn.relu(x) - relu(-x)", lambda x: nn.relu(x) * nn.relu(-x), *WHOLE),
    entry(
        "keras.activations.relu, all arguments",
        lambda x: act.relu(x, negative_slope=0.1, max_value=2.0, threshold=0.5),
        *WHOLE,
    ),
    entry("keras.activations.elu, alpha 0.5", lambda x: act.elu(x, alpha=0.5), *WHOLE),
    entry("keras.activations.celu, alpha 0.5", lambda x: act.celu(x, alpha=0.5), *_FAR),
    entry("keras.ops.celu, alpha 2", lambda x: ops.celu(x, 2.0), *_FAR),
    entry(
        "keras.ops.celu, alpha a tensor", lambda x, a: ops.celu(x, a), ([0.3, -0.7, 1.2], 1.3), ([0.0, 1.0, -1.0], 0.5)
    ),
    entry("keras.activations.squareplus, b 1", lambda x: act.squareplus(x, b=1), *_FAR, orders=3),
    entry("keras.activations.threshold", lambda x: act.threshold(x, 0.5, 2.0), *WHOLE),
    entry("keras.activations.soft_shrink, 0.9", lambda x: act.soft_shrink(x, 0.9), *WHOLE),
    entry("tf.nn.softmax", nn.softmax, X, FAR, ZERO, orders=3),
    entry("tf.nn.softmax, axis 0", lambda x: nn.softmax(x, 0), X, FAR, ZERO, orders=3),
    entry("tf.nn.log_softmax", nn.log_softmax, X, FAR, ZERO, orders=3),
    entry("tf.nn.log_softmax, axis -2", lambda x: nn.log_softmax(x, -2), X, FAR, ZERO, orders=3),
    entry("keras.activations.softmax", act.softmax, X, FAR, ZERO),
    entry("keras.activations.softmax, axis 0", lambda x: act.softmax(x, axis=0), X, FAR, ZERO),
    entry("keras.activations.log_softmax", act.log_softmax, X, FAR, ZERO),
    entry("keras.ops.softmax, axis None", lambda x: ops.softmax(x, axis=None), X, FAR, ZERO),
    entry("keras.ops.log_softmax, axis None", lambda x: ops.log_softmax(x, axis=None), X, FAR, ZERO),
    entry("keras.activations.sparsemax", act.sparsemax, X),
    entry("keras.activations.glu", act.glu, X, FAR, ZERO, orders=3),
    entry("keras.ops.glu, axis 0", lambda x: ops.glu(x, axis=0), X, ZERO, orders=3),
    entry("tf.nn.crelu, axis 0", lambda x: nn.crelu(x, axis=0), X),
    entry("tf.nn.bias_add", nn.bias_add, (X, [0.3, 1.1, -0.4, 0.8])),
    entry("tf.nn.l2_normalize", lambda x: nn.l2_normalize(x, 1), X, ZERO + 1),
    entry("EluGrad", lambda g, x: tf.raw_ops.EluGrad(gradients=g, outputs=x), (X, X[:, ::-1])),
    entry("SeluGrad", lambda g, x: tf.raw_ops.SeluGrad(gradients=g, outputs=x), (X, X[:, ::-1])),
    entry("SigmoidGrad", lambda y, g: tf.raw_ops.SigmoidGrad(y=y, dy=g), (X, X[:, ::-1]), (ZERO, X), orders=3),
    entry("TanhGrad", lambda y, g: tf.raw_ops.TanhGrad(y=y, dy=g), (X, X[:, ::-1]), (ZERO, X), orders=3),
    entry(
        "SoftplusGrad",
        lambda g, x: tf.raw_ops.SoftplusGrad(gradients=g, features=x),
        (X, X[:, ::-1]),
        (X, ZERO),
        orders=3,
    ),
    entry("SoftsignGrad", lambda g, x: tf.raw_ops.SoftsignGrad(gradients=g, features=x), (X, X[:, ::-1])),
    entry("SqrtGrad", lambda y, g: tf.raw_ops.SqrtGrad(y=y, dy=g), (X**2 + 1, X), orders=3, scale=0.5),
    entry("RsqrtGrad", lambda y, g: tf.raw_ops.RsqrtGrad(y=y, dy=g), (X**2 + 1, X), (ZERO, X), orders=3),
    entry("ReciprocalGrad", lambda y, g: tf.raw_ops.ReciprocalGrad(y=y, dy=g), (X, X[:, ::-1]), (ZERO, X), orders=3),
    entry("InvGrad", lambda y, g: tf.raw_ops.InvGrad(y=y, dy=g), (X, X[:, ::-1]), (ZERO, X), orders=3),
    entry("LeakyReluGrad", lambda g, x: tf.raw_ops.LeakyReluGrad(gradients=g, features=x), (X, X[:, ::-1])),
    entry("Relu6Grad", lambda g, x: tf.raw_ops.Relu6Grad(gradients=g, features=x), (X, X[:, ::-1])),
    entry("ReluGrad", lambda g, x: tf.raw_ops.ReluGrad(gradients=g, features=x), (X, X[:, ::-1])),
]
