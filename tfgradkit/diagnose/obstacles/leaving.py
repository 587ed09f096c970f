"""A function that can't be traced, since it hands its tensors to NumPy."""

from __future__ import annotations

import re
import traceback

from ...graph.location import Location, is_users
from .found import Obstacle

# How AutoGraph tells where an error comes from; its own copies of the user's code are no place to name.
_TOLD = re.compile(r'File "([^"]+)", line (\d+)')
_GENERATED = "__autograph_generated_file"


def left_tensorflow(name: str, error: NotImplementedError) -> Obstacle:
    """The finding for what NumPy's functions raise when they meet a tensor of a graph.

    Raises:
        NotImplementedError: ``error`` itself, where it is about something else.
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
    told = [(file, int(line)) for file, line in _TOLD.findall(str(error))]
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    own = [place for place in told or frames if is_users(place[0]) and _GENERATED not in place[0]]
    return Location(*own[-1]) if own else None
