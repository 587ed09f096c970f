"""The decisions for a derivative, and their reasons: ``Derivative.plan``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...public import public


@public("types")
@dataclass(frozen=True)
class PlanStep:
    """One sweep over the unit seeds of a tensor.

    Attributes:
        mode: "forward" (a seed an input) or "reverse" (a seed an output).
        strategy: "vectorize", "tile" or "loop".
        passes: how many seeds; None where only the run knows.
        chunk: how many at a time; None for all, "auto" where the run decides by ``memory_limit``.
        sample_bytes: estimate of the intermediate results of one seed and one sample; a function that counts them
            until ``counted``.
        reason: why this strategy.
    """

    mode: str
    strategy: str
    passes: int | None
    chunk: Any
    sample_bytes: Any
    reason: str

    def counted(self) -> PlanStep:
        """The same with ``sample_bytes`` as a number: that takes a walk over the graph, which a call does not need."""
        return replace(self, sample_bytes=self.sample_bytes()) if callable(self.sample_bytes) else self

    def __str__(self) -> str:
        count = "?" if self.passes is None else self.passes
        chunk = "at once" if self.chunk is None else f"{self.chunk} at a time"
        return (
            f"{self.mode}, {self.strategy}: {count} passes {chunk}, "
            f"about {self.sample_bytes:,} bytes a pass and sample ({self.reason})"
        )


@public("types")
@dataclass(frozen=True)
class Plan:
    """The sweeps of a derivative; none where single products are enough.

    Attributes:
        derivative: its name.
        steps: one a sweep, the innermost first.
        compiled: whether XLA compiles it.
    """

    derivative: str
    steps: tuple[PlanStep, ...]
    compiled: bool

    @property
    def mode(self) -> str:
        """Of the last sweep; "reverse" without one."""
        return self.steps[-1].mode if self.steps else "reverse"

    @property
    def strategy(self) -> str | None:
        """Of the last sweep; None without one."""
        return self.steps[-1].strategy if self.steps else None

    @property
    def passes(self) -> int | None:
        """Of all sweeps; None where only the run knows."""
        counts = [step.passes for step in self.steps]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def bytes(self) -> int:
        """Estimate of the intermediate results of one sample, in the largest sweep."""
        return max((_bytes_at_once(step) for step in self.steps), default=0)

    @property
    def reason(self) -> str:
        """Why the last sweep is done as it is."""
        return self.steps[-1].reason if self.steps else "a single product, no sweep over unit seeds"

    def __str__(self) -> str:
        lines = [str(step) for step in self.steps] or [self.reason]
        return "\n".join(
            [f"{self.derivative}{', compiled by XLA' if self.compiled else ''}", *(f"  {x}" for x in lines)]
        )


def _bytes_at_once(step: PlanStep) -> int:
    at_once = step.chunk if isinstance(step.chunk, int) else step.passes
    return step.sample_bytes * (1 if step.strategy == "loop" or at_once is None else at_once)
