"""What XLA says of a graph that it can't compile, in words for people."""

from __future__ import annotations

import re

from ..errors import GradientError

_NO_KERNEL = re.compile(r"(\w+) \(No registered '\1' OpKernel")
_FAILED = re.compile(r"during context \[Unknown\]: (.*)|Detected unsupported operations.*?: (.*)|(.*XLA compilation.*)")
_BLAMED = re.compile(r'op_type="(\w+)"')


def refusal(message: str) -> GradientError | None:
    """The error for a message of TensorFlow's; None where it is about something else than compiling."""
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
