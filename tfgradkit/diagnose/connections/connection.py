"""What ``explain`` says: one ``Connection`` for each output and input, all in an ``Explanation``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .causes import Cause

Status = Literal["connected", "zero", "none", "error"]
_SAYS: dict[Status, str] = {
    "connected": "connected",
    "zero": "the gradient is zero",
    "none": "the gradient is None",
    "error": "TensorFlow raises an error",
}
_WIDTH = 78


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
        head = f"{self.output} by {self.input}: {_SAYS[self.status]}"
        if self.cause is None:
            return "\n".join([head, *([f"  {self.why}"] if self.why else []), *_remedy_lines(self.remedy)])
        place = ", ".join([*([self.where] if self.where else []), *([f"layer {self.layer}"] if self.layer else [])])
        lines = [f"{head} ({self.cause})"]
        lines += [f"  at {place}"] if place else []
        lines += [f"      {self.code}"] if self.code else []
        lines += textwrap.wrap(self.why, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([*lines, *_remedy_lines(self.remedy)])


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
        """The connected ones by number, then each finding."""
        count = len(self) - len(self.findings)
        said = [connection for connection in self if connection.cause or connection.why]
        if len(self) == 1:
            return str(self[0])
        return "\n\n".join([f"{count} of {len(self)} connected", *map(str, said)])


def _remedy_lines(remedy: str | None) -> list[str]:
    if not remedy:
        return []
    first, *rest = remedy.split("\n")
    return [f"  try:  {first}", *(f"        {line}" for line in rest)]
