"""Obstacles for running derivatives in TensorFlow: no kernel for a dtype, no vectorized form, no trace at all.

Many ops have no CPU kernel for float64 or float16. The one file that touches ``tensorflow.python.framework.kernels``.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import tensorflow as tf

from ...graph.pfor import has_vector_form
from ...graph.user_line import Location, is_users
from . import audit_result
from .audit_result import Obstacle
from .audited_graph import Look, is_transparent

# The dtypes that an attribute may have in a kernel, by name of the attribute.
Constraint = dict[str, frozenset[int]]
# Their gradient can be taken once: the tape in Python that holds it is gone afterwards.
ONCE = frozenset({"EagerPyFunc"})
# Places in the text of AutoGraph's errors; its copies of the user's code are no place to name.
_PLACES = re.compile(r'File "([^"]+)", line (\d+)')
_GENERATED = "__autograph_generated_file"


def has_cpu_kernel(operation: Any) -> bool:
    """Whether the op can run on CPU; True for functions and control flow, which have no kernel of their own."""
    kernels = _kernels(operation.type)
    return not kernels or any(_fits(operation, kernel) for kernel in kernels)


def _fits(operation: Any, kernel: Constraint) -> bool:
    attributes = operation.node_def.attr
    return all(name not in attributes or attributes[name].type in allowed for name, allowed in kernel.items())


@cache
def _kernels(op_type: str) -> list[Constraint]:
    """The constraints of each CPU kernel; none for an op that TensorFlow has no kernels of."""
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


def without_kernel(look: Look, way: Iterable[Any], order: int) -> Iterator[Obstacle]:
    """Ops that can't run on CPU with their dtypes."""
    for operation in way:
        if not is_transparent(operation) and not has_cpu_kernel(operation):
            dtype = next((t.dtype.name for t in (*operation.outputs, *operation.inputs)), "")
            text = f"TensorFlow has no kernel for {dtype} on CPU"
            yield look.obstacle("no kernel", operation, order, text, audit_result.for_no_kernel(dtype))


def not_vectorized(look: Look, way: Iterable[Any], order: int) -> Iterator[Obstacle]:
    """Ops that run one sample or seed after another."""
    for operation in way:
        if operation.type in ONCE:
            text = "its gradient can be taken once: gradient and vjp work, a Jacobian ends in an error"
            yield look.obstacle("not vectorized", operation, order, text, audit_result.for_left_out("PyFunc"))
        elif not is_transparent(operation) and not has_vector_form(operation.type):
            text = "it can't be vectorized: a Jacobian takes one pass after another, or repeats the batch"
            remedy = "nothing, if that is fast enough; tgk.vjp for few outputs, tgk.jvp for few inputs"
            yield look.obstacle("not vectorized", operation, order, text, remedy, fails=False)


def left_tensorflow(name: str, error: NotImplementedError) -> Obstacle:
    """The obstacle for the error that NumPy's functions raise for a tensor of a graph.

    Raises:
        NotImplementedError: ``error`` itself, where it is another one.
    """
    if "symbolic tf.Tensor" not in str(error):
        raise error
    where = _where(error)
    return Obstacle(
        "left out", 0, "numpy", name, True,
        "the calculation leaves TensorFlow, where nothing can be traced or differentiated",
        "the same function of tf.math or tf.linalg; or tgk.wrap_external(fn, output_spec, derivative=…)",
        where=None if where is None else str(where),
        code=None if where is None else where.code,
    )  # fmt: skip


def _where(error: NotImplementedError) -> Location | None:
    named = [(file, int(line)) for file, line in _PLACES.findall(str(error))]
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    own = [place for place in named or frames if is_users(place[0]) and _GENERATED not in place[0]]
    return Location(*own[-1]) if own else None
