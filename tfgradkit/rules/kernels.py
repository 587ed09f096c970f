"""Whether TensorFlow has a kernel on CPU for an op with its dtypes: many have none for float64 or float16.

The one file that touches ``tensorflow.python.framework.kernels``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import tensorflow as tf

Constraint = dict[str, frozenset[int]]


def has_cpu_kernel(operation: Any) -> bool:
    """Whether the op can run on CPU; True for functions and control flow, which have no kernel of their own."""
    kernels = _kernels(operation.type)
    return not kernels or any(_fits(operation, kernel) for kernel in kernels)


def _fits(operation: Any, kernel: Constraint) -> bool:
    attributes = operation.node_def.attr
    return all(name not in attributes or attributes[name].type in allowed for name, allowed in kernel.items())


@cache
def _kernels(op_type: str) -> list[Constraint]:
    """For each kernel on CPU, the dtypes that its attributes may have; none for an op that is known nowhere."""
    from tensorflow.python.framework.kernels import get_registered_kernels_for_op

    try:
        found = get_registered_kernels_for_op(op_type).kernel
    except tf.errors.OpError:
        return []
    return [
        {c.name: frozenset(c.allowed_values.list.type) for c in kernel.constraint if c.allowed_values.list.type}
        for kernel in found
        if kernel.device_type in ("CPU", "DEFAULT")
    ]
