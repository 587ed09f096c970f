"""``checkpoint``: intermediate results are computed again on the way back rather than kept.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", 2016; A. Griewank, A. Walther,
"Algorithm 799: revolve", ACM TOMS 26, 2000. Unlike ``tf.recompute_grad``, this has second derivatives.
"""

from __future__ import annotations

from typing import Any

from ..sources.keras import is_keras
from .checkpoint_layer import Checkpoint
from .recomputed import Checkpointed
from .transformed import Transformed


def checkpoint(fn: Any) -> Any:
    """``fn``, which keeps its arguments alone for the gradient, and is evaluated once more when that is taken.

    The same values and derivatives, of every order and in both modes, by arguments, variables and what ``fn`` closes
    over, in ``tf.function``, with ``jit_compile=True``, in ``model.fit`` and in exports. A chain of n checkpoints of
    n layers each keeps 2n intermediate results in place of n², for one evaluation more. That is for first derivatives:
    those of second order keep what the second evaluation computes.

    Args:
        fn: a Keras 3 layer or model (a block of a larger one), or a function of nests of tensors. Random numbers
            of Keras layers are the same both times, and moving averages change once.

    Returns:
        Of a layer or model a Keras layer, ``tgk.layers.Checkpoint``; else a function.

    Raises (when called):
        GradientError: ``fn`` draws random numbers from a state that is not Keras', assigns to a ``tf.Variable``, or
            adds a loss.
    """
    if is_keras(fn):
        return Checkpoint(fn)
    return Transformed(fn, Checkpointed)
