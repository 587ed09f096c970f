"""The result of ``explain``: a ``Connection`` for each output and input; and the documented causes, in sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from ...public import public

Cause = Literal[
    "unwatched",
    "replaced_by_tensor",
    "left_tensorflow",
    "not_floating",
    "not_differentiable",
    "unregistered",
    "state",
    "stop_gradient",
    "branch_not_taken",
    "unused",
    "not_trainable",
    "iterator",
    "custom_gradient",
    "saturated",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)

# {input} and {output} are names, {op} is the op or function that cuts.
SENTENCES: dict[Cause, str] = {
    "unwatched": "The tape does not watch {input}: it watches trainable variables and what it is told to watch.",
    "replaced_by_tensor": "{input} was a variable; this line puts a tensor in its place, and no tape watches that.",
    "left_tensorflow": "The calculation leaves TensorFlow in {op}(): what comes back is a constant to the tape.",
    "not_floating": "Integers, truth values and text have no gradient; from {op} on it is cut.",
    "not_differentiable": "{op} has no gradient, by intent: its result moves in steps, or not at all.",
    "unregistered": "{op} has no gradient registered: TensorFlow raises a LookupError.",
    "state": "{op} writes into a variable. Who reads it later sees its value, not how it came about.",
    "stop_gradient": "tf.stop_gradient ends the gradient here, on purpose.",
    "branch_not_taken": "{input} counts only in a branch that was not taken for these arguments.",
    "unused": "Nothing that {output} is made of depends on {input}.",
    "not_trainable": "{input} is not trainable, so no tape watches it by itself.",
    "iterator": "{op} hands {input} on through a dataset or a queue, which keep values and no gradient.",
    "custom_gradient": "The gradient function of {op} returns None for this argument.",
    "saturated": "{op} is flat here: its own gradient is exactly 0 at these values.",
}
# Where an op on the way gives a gradient of zeros.
ZERO_SENTENCES: dict[Cause, str] = {
    "not_differentiable": "{op} moves in steps, so its gradient is 0 everywhere.",
    "branch_not_taken": "{op} picks one of two sides, and for these arguments it is not that of {input}.",
    "unused": "{op} multiplies by 0 what comes from {input}.",
    "saturated": SENTENCES["saturated"],
    "left_tensorflow": "What {op} calls leaves TensorFlow with {input}, so its gradient is 0.",
}

Status = Literal["connected", "zero", "none", "error"]
_SAYS: dict[Status, str] = {
    "connected": "connected",
    "zero": "the gradient is zero",
    "none": "the gradient is None",
    "error": "TensorFlow raises an error",
}
_WIDTH, _SHOWN = 78, 4


@public("types")
@dataclass(frozen=True)
class Connection:
    """Whether a gradient goes from one input to one output.

    Attributes:
        output, input: their names, such as "y['a']" or "dense/kernel".
        status: "connected"; "zero", all components are zero; "none", ``tf.GradientTape`` returns None;
            "error", it raises.
        cause: one of ``CAUSES``, None when connected.
        op: the op, or the function, that cuts the gradient.
        where: "file.py:12", in the user's own code; None where that isn't known, as for loaded models.
        remedy: what to write instead, as code.
        layer: the Keras layer the op belongs to.
        code: the line at ``where``.
        why: a sentence.
    """

    output: str
    input: str
    status: Status
    cause: Cause | None = None
    op: str | None = None
    where: str | None = None
    remedy: str | None = None
    layer: str | None = None
    code: str = ""
    why: str = ""

    def __str__(self) -> str:
        return _text(self, self.input)


@public("types")
@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` found; iterates its connections.

    Attributes:
        connections: one for every (output, input), outputs outside.
    """

    connections: tuple[Connection, ...]

    @property
    def findings(self) -> tuple[Connection, ...]:
        """Those that are not connected."""
        return tuple(connection for connection in self.connections if connection.status != "connected")

    @property
    def ok(self) -> bool:
        """Whether every input reaches every output."""
        return not self.findings

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.connections)

    def __len__(self) -> int:
        return len(self.connections)

    def __getitem__(self, position: int) -> Connection:
        return self.connections[position]

    def __str__(self) -> str:
        """How many are connected, then each finding; inputs that are cut at the same place go together."""
        if len(self) == 1:
            return str(self[0])
        groups: dict[tuple[object, ...], list[Connection]] = {}
        for c in self:
            if c.cause or c.why:
                groups.setdefault((c.output, c.status, c.cause, c.op, c.where, c.layer), []).append(c)
        said = [_text(group[0], _listed([c.input for c in group])) for group in groups.values()]
        return "\n\n".join([f"{len(self) - len(self.findings)} of {len(self)} connected", *said])


def _text(connection: Connection, inputs: str) -> str:
    c = connection
    head = textwrap.wrap(f"{c.output} by {inputs}: {_SAYS[c.status]}" + (f" ({c.cause})" if c.cause else ""), _WIDTH)
    place = ", ".join([*([c.where] if c.where else []), *([f"layer {c.layer}"] if c.layer else [])])
    lines = [*head, *([f"  at {place}"] if place else []), *([f"      {c.code}"] if c.code else [])]
    lines += textwrap.wrap(c.why, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, *_remedy_lines(c.remedy)])


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _remedy_lines(remedy: str | None) -> list[str]:
    """Code as it is; a comment that makes a line too long goes below it."""
    lines: list[str] = []
    for line in (remedy or "").split("\n") if remedy else ():
        code, mark, comment = line.partition("  # ")
        if len(line) <= _WIDTH - 8 or not mark:
            lines.append(line)
        else:
            lines += [code, *textwrap.wrap(comment, _WIDTH - 8, initial_indent="# ", subsequent_indent="# ")]
    return [f"  try:  {lines[0]}", *(f"        {line}" for line in lines[1:])] if lines else []
