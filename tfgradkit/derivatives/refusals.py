"""What an error of a running graph stands for: TensorFlow raises its own, with nothing but a text."""

from __future__ import annotations

import re

from ..errors import GradientError, TfGradKitError
from ..graph.python_code import original
from .failures import failure

_NO_KERNEL = re.compile(r"(\w+) \(No registered '\1' OpKernel")
_FAILED = re.compile(r"during context \[Unknown\]: (.*)|Detected unsupported operations.*?: (.*)|(.*XLA compilation.*)")
_BLAMED = re.compile(r'op_type="(\w+)"')


def meant(error: BaseException, compiled: bool) -> TfGradKitError | None:
    """The exception of ours that ``error`` stands for, if any; ``compiled`` says that XLA compiled the graph."""
    return original(error) or failure(str(error)) or (refusal(str(error)) if compiled else None)


def refusal(message: str) -> GradientError | None:
    """The error for what XLA says of a graph that it can't compile; None where a message is about something else."""
    missing = sorted(set(_NO_KERNEL.findall(message)))
    failed = _FAILED.search(message)
    if not missing and failed is None:
        return None
    said = "" if failed is None else next(group for group in failed.groups() if group is not None)
    blamed = _BLAMED.search(said)
    return GradientError(
        "XLA can't compile the derivative",
        expected="ops that XLA compiles",
        got=", ".join(missing) or (f"{blamed.group(1)}: {said[:100]}…" if blamed else said[:200]),
        hint="leave jit_compile out: the derivative is the same, uncompiled",
    )
