"""Rounding to steps: what TensorFlow calls its gradient goes straight through, so that differences cannot agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .entries_pools import narrow
from .entry import Entry, entry, numbers

Q, R = tf.quantization, tf.raw_ops
X = np.array([[-1.6, -0.37, 0.22], [0.61, 0.93, 1.8]])
LOW, HIGH = np.array(-1.02), np.array(1.21)
WHY = "a straight-through estimator: of a step function TensorFlow gives the slope of the line through the steps"
# First order alone: the estimator is a step function itself.
STRAIGHT: dict[str, Any] = {"known": {"first": ("wrong", WHY)}, "tolerance": 1e-5}


def _fake() -> list[Entry]:
    low, high = np.array([-1.0, -0.5, -0.8]), np.array([1.2, 0.9, 1.1])
    bits = {"": {}, "narrow_range": {"narrow_range": True}, "4 bits": {"num_bits": 4}}
    return [
        *(
            entry(
                f"tf.quantization.fake_quant_with_min_max_args, {how}",
                narrow(lambda x, k=k: Q.fake_quant_with_min_max_args(x, -1.02, 1.21, **k)),
                X,
                **STRAIGHT,
            )
            for how, k in bits.items()
        ),
        *(
            entry(
                f"tf.quantization.fake_quant_with_min_max_vars, {how}",
                narrow(lambda x, a, b, k=k: Q.fake_quant_with_min_max_vars(x, a, b, **k)),
                (X, LOW, HIGH),
                **(STRAIGHT if how == "4 bits" else {"tolerance": 1e-5}),
            )
            for how, k in bits.items()
        ),
        entry(
            "tf.quantization.fake_quant_with_min_max_vars_per_channel",
            narrow(Q.fake_quant_with_min_max_vars_per_channel),
            (X, low, high),
            tolerance=1e-5,
        ),
        *(
            entry(
                f"tf.quantization.fake_quant_with_min_max_{name}_gradient",
                narrow(f),
                points,
            )
            for name, f, points in (
                ("args", lambda g, x: Q.fake_quant_with_min_max_args_gradient(g, x, -1.02, 1.21), (numbers(2, 3), X)),
                ("vars", lambda g, x: Q.fake_quant_with_min_max_vars_gradient(g, x, -1.02, 1.21), (numbers(2, 3), X)),
            )
        ),
    ]


def _round_trips() -> list[Entry]:
    given = {"signed_input": True, "range_given": True}
    return [
        entry(
            "tf.quantization.quantize_and_dequantize_v2",
            lambda x, a, b: Q.quantize_and_dequantize_v2(x, a, b, num_bits=4, range_given=True),
            (X, LOW, HIGH),
            **STRAIGHT,
        ),
        entry(
            "QuantizeAndDequantizeV3, narrow_range, axis",
            lambda x, a, b: R.QuantizeAndDequantizeV3(
                input=x, input_min=a, input_max=b, num_bits=4, **given, narrow_range=True, axis=1
            ),
            (X, np.array([-1.0, -0.5, -0.8]), np.array([1.2, 0.9, 1.1])),
            **STRAIGHT,
        ),
        entry(
            "QuantizeAndDequantizeV2",
            lambda x, a, b: R.QuantizeAndDequantizeV2(input=x, input_min=a, input_max=b, num_bits=4, **given),
            (X, LOW, HIGH),
            **STRAIGHT,
        ),
        entry(
            "QuantizeAndDequantizeV3",
            lambda x, a, b: R.QuantizeAndDequantizeV3(input=x, input_min=a, input_max=b, num_bits=4, **given),
            (X, LOW, HIGH),
            **STRAIGHT,
        ),
        entry(
            "QuantizeAndDequantizeV4",
            lambda x, a, b: R.QuantizeAndDequantizeV4(input=x, input_min=a, input_max=b, num_bits=4, **given),
            (X, LOW, HIGH),
            **STRAIGHT,
        ),
        entry(
            "QuantizeAndDequantizeV4Grad",
            lambda g, x, a, b: tuple(R.QuantizeAndDequantizeV4Grad(gradients=g, input=x, input_min=a, input_max=b)),
            (numbers(2, 3), X, LOW, HIGH),
        ),
        entry(
            "keras.quantizers.fake_quant_with_min_max_vars",
            lambda x: tf.cast(
                tf.keras.quantizers.fake_quant_with_min_max_vars(tf.cast(x, tf.float32), -1.02, 1.21), x.dtype
            ),
            X,
            **STRAIGHT,
        ),
    ]


ENTRIES = [*_fake(), *_round_trips()]
