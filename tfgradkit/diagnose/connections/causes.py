"""Why a gradient is missing: the documented list, and a sentence for each."""

from __future__ import annotations

from typing import Literal, get_args

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

# {input} and {output} are names, {op} is what cuts.
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
# Where the way is there, and an op on it gives zeros.
ZERO_SENTENCES: dict[Cause, str] = {
    "not_differentiable": "{op} moves in steps, so its gradient is 0 everywhere.",
    "branch_not_taken": "{op} picks one of two sides, and for these arguments it is not that of {input}.",
    "unused": "{op} multiplies by 0 what comes from {input}.",
    "saturated": SENTENCES["saturated"],
    "left_tensorflow": "What {op} calls leaves TensorFlow with {input}, so its gradient is 0.",
}
