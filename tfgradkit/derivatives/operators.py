"""The operators' front: ``jacobian(fn)`` and its siblings, each returning a ``Derivative``.

They all take the same keywords:

Args:
    fn: a Keras model or layer, a ``tf.function``, a callable, or another ``Derivative``; of one
        input and one output.
    batched: whether the first axis counts independent samples. None: True for Keras models and
        layers, inherited from a ``Derivative``, False for other functions.
    mode: "forward" (one pass an input), "reverse" (one an output), "auto" the cheaper.
    strategy: "vectorize" (all passes at once), "loop" (one after another), "auto" vectorizes
        where every op can be; inside a ``tf.function`` it writes up to 16 passes out. A strategy
        changes the cost, never the value.
    unconnected: "zero", "none" or "raise" where the output does not depend on the input.
    jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
    training: what Keras layers are told.

Raises (from the operator, or from the call):
    SourceError: ``fn`` can't be differentiated.
    SignatureError: an argument of the wrong shape or dtype.
    GradientError: the derivative does not exist for this function.
"""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from ..sources.resolve import resolve
from .choices import ChunkSize, JitCompile, Mode, Options, Strategy, Unconnected
from .derivative import Derivative


class Keywords(TypedDict, total=False):
    """What every operator takes beside the function."""

    argnums: int | tuple[int, ...]
    wrt: Any
    of: str | None
    batched: bool | None
    has_aux: bool
    mode: Mode
    strategy: Strategy
    chunk_size: ChunkSize
    memory_limit: int | None
    unconnected: Unconnected
    jit_compile: JitCompile
    training: bool


def build(
    operator: str, parts: tuple[str, ...], fn: Any, keywords: Keywords, extra: dict[str, Any] | None = None
) -> Derivative:
    """The derivative behind an operator's front.

    Raises:
        TypeError: a keyword that no operator has.
    """
    if unknown := set(keywords) - set(Keywords.__annotations__):
        known = ", ".join(sorted(Keywords.__annotations__))
        raise TypeError(f"{operator}() has no keyword {sorted(unknown)[0]!r}; it has {known}")
    options = {name: keywords[name] for name in keywords if name not in ("batched", "training")}  # type: ignore[literal-required]
    source = resolve(fn, batched=keywords.get("batched"), training=keywords.get("training", False))
    return Derivative(source, operator, parts, Options(**options), extra)


def gradient(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """∇f of a scalar-valued function: ``(x) -> x``, batched ``[B] + x``.

    A batched result ``[B, 1]`` counts as scalar-valued.
    """
    return build("gradient", ("gradient",), fn, keywords)


def jacobian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """∂y/∂x: ``(x) -> y + x``, batched ``[B] + y + x``."""
    return build("jacobian", ("jacobian",), fn, keywords)


def vjp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """uᵀ ∂y/∂x: ``(x, output_gradients=u) -> x``, batched ``[B] + x``. u is shaped like y."""
    return build("vjp", ("vjp",), fn, keywords)


def jvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """(∂y/∂x) v: ``(x, tangents=v) -> y``, batched ``[B] + y``. v is shaped like x."""
    return build("jvp", ("jvp",), fn, keywords)


def hessian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """∂²y/∂x²: ``(x) -> y + x + x``, batched ``[B] + y + x + x``.

    For a scalar-valued function (``[B, 1]`` counts) there is no axis for y.
    """
    return build("hessian", ("hessian",), fn, keywords)


def hvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """(∇²f) v of a scalar-valued function: ``(x, tangents=v) -> x``, batched ``[B] + x``."""
    return build("hvp", ("hvp",), fn, keywords)


def value_and_gradient(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, ∇f)`` from one pass; y without the 1 of ``[B, 1]``."""
    return build("gradient", ("value", "gradient"), fn, keywords)


def value_and_jacobian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, ∂y/∂x)`` from one pass."""
    return build("jacobian", ("value", "jacobian"), fn, keywords)


def value_and_vjp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, uᵀ ∂y/∂x)`` from one pass."""
    return build("vjp", ("value", "vjp"), fn, keywords)


def value_and_jvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, (∂y/∂x) v)`` from one pass."""
    return build("jvp", ("value", "jvp"), fn, keywords)


def value_and_hvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, (∇²f) v)`` from one pass."""
    return build("hvp", ("value", "hvp"), fn, keywords)


def value_gradient_and_hessian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, ∂y/∂x, ∂²y/∂x²)`` from one pass, for any function; ∇f where it is scalar-valued."""
    return build("hessian", ("value", "gradient", "hessian"), fn, keywords)
