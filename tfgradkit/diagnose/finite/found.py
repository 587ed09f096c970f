"""What :func:`locate_nonfinite` found, for programs and for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any


@dataclass(frozen=True)
class Operand:
    """What an op took.

    Attributes:
        name: as the op calls it.
        dtype, shape: of the whole tensor.
        value: at the element in question; None where the op mixes elements.
        low, high: the smallest and the largest of the whole tensor; None where it is empty.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: float | complex | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.name} = {self.value:g}"
        size = f"{self.dtype} {list(self.shape)}"
        return (
            f"{self.name} {size}" if self.low is None else f"{self.name} {size} from {self.low:.4g} to {self.high:.4g}"
        )


@dataclass(frozen=True)
class NonFinite:
    """What isn't finite, and why.

    Attributes:
        result: what has NaN or Inf, "the result y" or "the gradient by x"; None where everything is finite.
        count, size: of its elements, and of how many.
        direction: "forward" or "backward" for an op of the function or of its gradient; "input", "variable" or
            "constant" where the number came from there.
        op, name: type and name of the op; the name of an input or variable.
        forward_op: of a backward op, the type of the op whose gradient it is.
        value: "NaN" or "Inf".
        index: which element of the op's result.
        sample: which sample of a batched function.
        inputs: what the op took.
        turn: which turn of the innermost loop, from 1 on.
        layer: the Keras layer.
        where, code: "file.py:LINE" of the user's code, and the line itself.
        cause: why it is not finite.
        remedy: the safe form, as code.
        compiled_only: whether TensorFlow's own kernels give finite numbers, and XLA's (``jit_compile=True``, C
            libraries) don't.
        note: what could not be looked at.
    """

    result: str | None = None
    count: int = 0
    size: int = 0
    direction: str | None = None
    op: str | None = None
    name: str | None = None
    forward_op: str | None = None
    value: str | None = None
    index: tuple[int, ...] = ()
    sample: int | None = None
    inputs: tuple[Operand, ...] = ()
    turn: int | None = None
    layer: str | None = None
    where: str | None = None
    code: str | None = None
    cause: str | None = None
    remedy: str | None = None
    compiled_only: bool = False
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Whether value and gradient are finite."""
        return self.result is None

    def as_dict(self) -> dict[str, Any]:
        """The same for ``json.dumps``."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        lines = [self._head(), *(f"  {name:<8} {text}" for name, text in self._facts() if text)]
        return "\n".join([*lines, *(["  instead", *(f"      {row}" for row in self._code())] if self.remedy else [])])

    def _head(self) -> str:
        if self.ok:
            return "everything is finite" if self.note is None else f"what was looked at is finite: {self.note}"
        share = f" ({self.count} of {self.size} numbers)" if self.size > 1 else ""
        compiled = ", compiled by XLA (jit_compile=True, C libraries)" if self.compiled_only else ""
        return f"{self.result} is not finite{share}{compiled}"

    def _facts(self) -> list[tuple[str, str | None]]:
        if self.ok:
            return []
        place = f" at {list(self.index)}" if self.index else ""
        if self.op is None:
            return [("because", f"the {self.direction} {self.name} itself is {self.value}{place}"), ("note", self.note)]
        of = f" in the gradient of {self.forward_op}" if self.forward_op else ""
        turn = f", in turn {self.turn} of the loop" if self.turn else ""
        return [
            ("made by", f"{self.op}{of}: {self.value}{place}{turn}"),
            ("from", ", ".join(map(str, self.inputs))),
            ("in", f"{self.where}: {self.code}" if self.where else None),
            ("layer", self.layer),
            ("because", None if self.cause is None else f"\n{' ' * 11}".join(wrap(self.cause, 85))),
            ("note", self.note),
        ]

    def _code(self) -> list[str]:
        return (self.remedy or "").splitlines()
