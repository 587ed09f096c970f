"""Errors of a running graph: TensorFlow raises its own classes with a text; here they become errors of the tree.

An assertion of ours in a graph fails with words that a person understands; where Python called the graph, it is
raised as what it is. What XLA can't compile is an error that names the ops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ...errors import ConvergenceError, GradientError, TfGradKitError
from ...graph.python_code import original

NOT_COMPILED = "XLA can't compile the derivative"
_MARK = "tfgradkit: "
_TEXT = re.compile(rf"\[{_MARK}(?P<what>[^:\]]*): (?P<subject>[^\]]*)\](?P<rest>.*)")
_FACT = re.compile(r"\[(\w+)\] \[([^\]]*)\]")
_HINT = re.compile(r"\[try: ([^\]]*)\]")
_NO_KERNEL = re.compile(r"(\w+) \(No registered '\1' OpKernel")
_FAILED = re.compile(
    r"during context \[Unknown\]: (.*)|Detected unsupported operations.*?: (.*)|(.*XLA compilation.*)"
    r"|(.*)\s+\[\[.*\]\]\s+tf2xla conversion failed"
)
_OF_TYPE = re.compile(r"of type (\w+)")
_BLAMED = re.compile(r'op_type="(\w+)"')


def meant(error: BaseException, compiled: bool) -> TfGradKitError | None:
    """The exception of ours that ``error`` stands for, if any; ``compiled`` says that XLA compiled the graph."""
    return original(error) or failure(str(error)) or (refusal(str(error)) if compiled else None)


def refusal(message: str, subject: str | None = None) -> GradientError | None:
    """The error for what XLA says of a graph that it can't compile; None where a message is about something else."""
    missing = sorted(set(_NO_KERNEL.findall(message)))
    failed = _FAILED.search(message)
    if not missing and failed is None:
        return None
    said = "" if failed is None else next(group for group in failed.groups() if group is not None)
    blamed = _BLAMED.search(said) or _OF_TYPE.search(said)
    names = ", ".join(missing) or (f"{blamed.group(1)}: {said[:100]}…" if blamed else said[:200])
    loops = "fixed tensor list size" in message
    return not_compiled(subject, names, "maximum_iterations= of tf.while_loop; or " if loops else "")


def not_compiled(name: str | None, said: str, first: str = "") -> GradientError:
    """The error for a graph that XLA can't compile; ``first`` is what to try first."""
    return GradientError(
        NOT_COMPILED,
        subject=name,
        expected="ops that XLA compiles",
        got=said,
        hint=f"{first}leave jit_compile out: the derivative is the same, uncompiled",
    )


def assertion(holds: tf.Tensor, what: str, subject: str, facts: Mapping[str, tf.Tensor], hint: str) -> Any:
    """An op that fails with these words and numbers where ``holds`` is false. XLA drops it."""
    data: list[Any] = [f"{_MARK}{what}: {subject}"]
    for name, fact in facts.items():
        data += [name, fact]
    # tf.debugging.Assert would put a branch around it.
    return tf.raw_ops.Assert(condition=holds, data=[tf.convert_to_tensor(x) for x in [*data, f"try: {hint}"]])


def failure(text: str) -> ConvergenceError | None:
    """The exception that an error of a graph stands for by its text; None, where it is none of ours."""
    found = _TEXT.search(text)
    if found is None:
        return None
    facts = {name: _number(text) for name, text in _FACT.findall(found["rest"])}
    hint = _HINT.search(found["rest"])
    got = ", ".join(f"{name} {value}" for name, value in facts.items())
    return ConvergenceError(
        found["what"],
        subject=found["subject"],
        got=got,
        hint=hint[1] if hint else None,
        sample=int(facts.get("sample", 0)),
        norm=facts.get("residual", float("nan")),
        step=facts.get("step", float("nan")),
        iterations=int(facts.get("iterations", 0)),
    )


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
