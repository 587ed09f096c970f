"""What stands in the way of running derivatives: ops without a kernel, or that can't be vectorized."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...rules.kernels import has_cpu_kernel
from ...rules.vectorized import has_vector_form
from . import remedies
from .found import Obstacle
from .look import Look, is_transparent

# What goes through Python is kept on a tape that is gone after the first gradient.
ONCE = frozenset({"EagerPyFunc"})


def without_kernel(look: Look, way: Iterable[Any], order: int) -> Iterator[Obstacle]:
    """Ops that can't run on CPU with their dtypes."""
    for operation in way:
        if not is_transparent(operation) and not has_cpu_kernel(operation):
            dtype = next((t.dtype.name for t in (*operation.outputs, *operation.inputs)), "")
            text = f"TensorFlow has no kernel for {dtype} on CPU"
            yield look.obstacle("no kernel", operation, order, text, remedies.for_no_kernel(dtype))


def not_vectorized(look: Look, way: Iterable[Any], order: int) -> Iterator[Obstacle]:
    """Ops that are run for one sample or seed after another."""
    for operation in way:
        if operation.type in ONCE:
            text = "its gradient can be taken once: gradient and vjp work, a Jacobian ends in an error"
            yield look.obstacle("not vectorized", operation, order, text, remedies.for_left_out("PyFunc"))
        elif not is_transparent(operation) and not has_vector_form(operation.type):
            text = "it can't be vectorized: a Jacobian takes one pass after another, or repeats the batch"
            remedy = "nothing, if that is fast enough; tgk.vjp for few outputs, tgk.jvp for few inputs"
            yield look.obstacle("not vectorized", operation, order, text, remedy, fails=False)
