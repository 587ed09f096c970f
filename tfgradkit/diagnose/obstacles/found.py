"""What :func:`audit` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["no gradient", "left out", "cut", "no kernel", "not vectorized", "not compiled", "not exported"]


@dataclass(frozen=True)
class Obstacle:
    """An op that stands in the way.

    Attributes:
        kind: "no gradient": differentiating raises an error; "left out": TensorFlow would leave it out in silence,
            and the operators refuse it; "cut": its derivative is zero or None; "no kernel": it can't run on CPU with
            its dtypes; "not vectorized": it works, but one sample or seed after another; "not compiled",
            "not exported": XLA or the C library doesn't have it.
        order: of the derivative that it stands in the way of; 0 for the value.
        op, name: its type and its name in the graph.
        forward_op: for an op of a derivative, the type of the op that it comes from.
        fails: whether the derivative can't be had; else it is had, but slower or without this op's part.
        count: how many such ops there are in the same place.
        layer: the Keras layer.
        where, code: "file.py:LINE" of the user's code, and the line itself.
        text: what is wrong.
        remedy: what to use instead.
    """

    kind: Kind
    order: int
    op: str
    name: str
    fails: bool
    text: str
    remedy: str
    forward_op: str | None = None
    count: int = 1
    layer: str | None = None
    where: str | None = None
    code: str | None = None

    def facts(self) -> dict[str, str]:
        """The same by short names, for people."""
        op = f"{self.op}, in the derivative of {self.forward_op}" if self.forward_op else self.op
        times = f" ({self.count} of them)" if self.count > 1 else ""
        found = {
            "fails" if self.fails else "note": f"{op}{times}: {self.text}",
            "layer": self.layer,
            "in": f"{self.where}: {self.code}" if self.where else None,
            "instead": self.remedy,
        }
        return {name: text for name, text in found.items() if text}

    def __str__(self) -> str:
        (mark, text), *others = self.facts().items()
        return "\n".join([f"{mark:<5}  {text}", *(f"       {name:<7} {fact}" for name, fact in others)])


@dataclass(frozen=True)
class Audit:
    """What would stand in the way of derivatives of a function; iterate it for every :class:`Obstacle`.

    Attributes:
        function: its name.
        order, target: what was asked for.
        obstacles: those that fail first.
        incomplete: why not all of it could be looked at, or None.
    """

    function: str
    order: int
    target: str
    obstacles: tuple[Obstacle, ...] = ()
    incomplete: str | None = None

    def __iter__(self) -> Iterator[Obstacle]:
        return iter(self.obstacles)

    def __len__(self) -> int:
        return len(self.obstacles)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def ok(self) -> bool:
        """Whether nothing fails."""
        return not any(obstacle.fails for obstacle in self.obstacles)

    def as_dict(self) -> dict[str, Any]:
        """The same for ``json.dumps``."""
        return {"ok": self.ok, **asdict(self)}

    @property
    def summary(self) -> str:
        """One line."""
        failing = sum(obstacle.fails for obstacle in self.obstacles)
        verdict = f"{failing} kind{'s' * (failing > 1)} of op fail{'s' * (failing == 1)}"
        order = f"derivatives of order {self.order}, {self.target}"
        return f"{self.function}, {order}: {'nothing stands in the way' if self.ok else verdict}"

    def __str__(self) -> str:
        lines = [self.summary, *map(str, self.obstacles)]
        return "\n".join([*lines, *([f"note   {self.incomplete}"] if self.incomplete else [])])
