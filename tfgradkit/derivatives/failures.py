"""Failures that only a running graph finds out: assertions in it, and the exceptions that they become.

A graph raises TensorFlow's own errors alone. An assertion of ours says the same in words that a person
understands, and where Python called the graph, it is raised as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ..errors import ConvergenceError

_MARK = "tfgradkit: "
_TEXT = re.compile(rf"\[{_MARK}(?P<what>[^:\]]*): (?P<subject>[^\]]*)\](?P<rest>.*)")
_FACT = re.compile(r"\[(\w+)\] \[([^\]]*)\]")
_HINT = re.compile(r"\[try: ([^\]]*)\]")


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
