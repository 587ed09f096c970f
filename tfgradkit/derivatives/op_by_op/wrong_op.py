"""An op whose derivative is wrong, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass

from ...public import public


@public("types")
@dataclass(frozen=True)
class WrongOp:
    """An op whose gradient is not that of its values.

    Attributes:
        op: its type; "tf.custom_gradient" for the results of one.
        name: in the graph.
        error: by how much its gradient is off, relative to the larger of the two, by the input where that is most: 1
            where it is left out.
        where, code: "file.py:LINE" of the user's code that calls it, and the line itself.
        layer: the Keras layer.
        gradient: "file.py:LINE" of the gradient function, where that is the user's.
        forward_op: of an op of a gradient, as in second derivatives, the type of the op that was differentiated.
    """

    op: str
    name: str
    error: float
    where: str | None = None
    code: str = ""
    layer: str | None = None
    gradient: str | None = None
    forward_op: str | None = None

    def __str__(self) -> str:
        of = f" in the gradient of {self.forward_op}" if self.forward_op else ""
        line = f"the gradient of {self.op}{of} is wrong by {100 * self.error:.2g} %"
        places = [f"at {self.where}: {self.code}" if self.where else f"op {self.name}"]
        places += [f"layer {self.layer}"] if self.layer else []
        places += [f"its gradient function is at {self.gradient}"] if self.gradient else []
        return "\n      ".join([line, *places])
