"""What XLA makes of a function: how much is left, and on which arguments its results depend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

# What runs nothing.
_PLUMBING = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast"})
# What changes by itself.
_STATE = frozenset({"rng", "rng-get-and-update-state", "infeed", "recv", "custom-call"})


@dataclass(frozen=True)
class Compiled:
    """A function after XLA's optimizations.

    Attributes:
        instructions: how many are left.
        varying: for each result, whether it depends on an argument.
    """

    instructions: int
    varying: tuple[bool, ...]


def compiled(concrete: Any) -> Compiled | None:
    """What XLA makes of a concrete function without variables; None where it can't compile it.

    All sizes have to be known.
    """
    from tensorflow.compiler.xla.service import hlo_pb2

    function = tf.function(concrete, jit_compile=True, autograph=False)
    specs = [tf.TensorSpec(t.shape, t.dtype) for t in concrete.inputs]
    try:
        content = function.experimental_get_compiler_ir(*specs)(stage="optimized_hlo_proto_serialized")
        module = hlo_pb2.HloProto.FromString(content).hlo_module
    except (ValueError, TypeError, DecodeError, tf.errors.OpError):
        return None
    entry = next((c for c in module.computations if c.id == module.entry_computation_id), None)
    opcodes = {instruction.opcode for computation in module.computations for instruction in computation.instructions}
    varying = _varying(entry) if entry is not None and not opcodes & _STATE else (True,) * len(concrete.outputs)
    if len(varying) != len(concrete.outputs):
        return None
    left = sum(1 for c in module.computations for i in c.instructions if i.opcode not in _PLUMBING | {"fusion"})
    return Compiled(left, varying)


def _varying(entry: Any) -> tuple[bool, ...]:
    """Of the results of a computation, whose instructions come after those that they read."""
    found: dict[int, bool] = {}
    for instruction in entry.instructions:
        found[instruction.id] = instruction.opcode == "parameter" or any(found[i] for i in instruction.operand_ids)
    root = next(i for i in entry.instructions if i.id == entry.root_id)
    return tuple(found[i] for i in root.operand_ids) if root.opcode == "tuple" else (found[root.id],)
