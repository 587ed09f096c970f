"""The front of the operators of vector analysis: ``laplacian``, ``divergence``, ``partial``.

They take the keywords of all operators; see :mod:`tfgradkit.derivatives.operators`.
"""

from __future__ import annotations

from typing import Any, Unpack

from ..differentiable import Differentiable
from ..errors import SignatureError
from ..sources.callables import component
from ..sources.resolve import resolve
from .derivative import Derivative
from .operators import Keywords, build
from .partials import Direction, check_directions

_METHODS = ("forward", "exact", "hutchinson")


def laplacian(
    fn: Any, *, method: str = "forward", probes: int = 16, seed: int | None = None, **keywords: Unpack[Keywords]
) -> Derivative:
    """Σᵢ ∂²y/∂xᵢ² over all elements of x: ``(x) -> y``, batched ``[B] + y``; of vector-valued functions, too.

    Args:
        fn: as for every operator.
        method: "forward" carries value, slopes and Laplacian together through the graph, without a
            Hessian (Li et al., Nature Machine Intelligence 6, 2024, arXiv 2307.08214; collapsed Taylor
            mode, Dangel et al., arXiv 2505.13644), and does as "exact" where an op has no rule: loops,
            state, custom gradients. "exact" takes the second derivative along each axis by nesting.
            "hutchinson" estimates: the mean of vᵀHv over random signs v, without bias (Hutchinson 1990).
        probes: how many v, for "hutchinson".
        seed: for "hutchinson": the same v at each call; None draws new ones.

    Raises:
        SignatureError: no such method, or no such number of probes.
    """
    return build("laplacian", ("laplacian",), fn, keywords, _estimate(method, probes, seed))


def value_and_laplacian(
    fn: Any, *, method: str = "forward", probes: int = 16, seed: int | None = None, **keywords: Unpack[Keywords]
) -> Derivative:
    """``(y, Σ ∂²y/∂xᵢ²)`` from one pass; see :func:`laplacian`."""
    return build("laplacian", ("value", "laplacian"), fn, keywords, _estimate(method, probes, seed))


def _estimate(method: str, probes: int, seed: int | None) -> dict[str, Any]:
    if method not in _METHODS:
        raise SignatureError("no such choice", subject="method", expected=" | ".join(_METHODS), got=repr(method))
    for name, number, least in (("probes", probes, 1), ("seed", 0 if seed is None else seed, None)):
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or (least is not None and number < least):
            wanted = "a whole number" + ("" if least is None else f", from {least} on")
            raise SignatureError("no such number", subject=name, expected=wanted, got=repr(number))
    return {"method": method, "probes": probes, "seed": seed}


def divergence(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """Σᵢ ∂yᵢ/∂xᵢ of a function whose result is shaped like x: ``(x) -> scalar``, batched ``[B]``.

    One pass for each element of x; no Jacobian is kept. With ``mode="reverse"`` the passes are those of y.

    Raises (from the call):
        SignatureError: y is not shaped like x.
    """
    return build("divergence", ("divergence",), fn, keywords)


def value_and_divergence(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, Σ ∂yᵢ/∂xᵢ)`` from one pass."""
    return build("divergence", ("value", "divergence"), fn, keywords)


def partial(fn: Any, *directions: Direction, output: Any = None, **keywords: Unpack[Keywords]) -> Derivative:
    """One mixed partial derivative, of any order: ``(x) -> y``, batched ``[B] + y``; nothing else is formed.

    ``partial(f, 0, 0)`` is ∂²y/∂x₀², ``partial(u, "x", "x")`` of ``u(x, t)`` ∂²u/∂x²,
    ``partial(u, ("x", 0), "t")`` ∂²u/∂x₀∂t.

    Args:
        fn: as for every operator.
        directions: what to differentiate by, in any order: positions along the last axis of x; names of
            arguments, of keys of a dict, or of a Keras model's inputs, where such a one is a single
            coordinate; or pairs of name and position. Axes between the batch's and the last count
            points: the function is to treat each for itself.
        output: which result: a key or index of a structure, a position along the last axis of a
            tensor, or a tuple of such.

    Raises (from here, or from the call):
        SignatureError: no such direction or output.
    """
    return _partial(("partial",), fn, directions, output, keywords)


def value_and_partial(fn: Any, *directions: Direction, output: Any = None, **keywords: Unpack[Keywords]) -> Derivative:
    """``(y, partial)`` from one pass; see :func:`partial`."""
    return _partial(("value", "partial"), fn, directions, output, keywords)


def _partial(
    parts: tuple[str, ...], fn: Any, directions: tuple[Direction, ...], output: Any, keywords: Keywords
) -> Derivative:
    check_directions(directions)
    source = resolve(fn, batched=keywords.get("batched"), training=keywords.get("training", False))
    arguments = _named_arguments(source, directions)
    if arguments and "argnums" in keywords:
        raise SignatureError("names pick the arguments", subject="partial", got="argnums=", hint="leave argnums= out")
    if arguments:
        keywords = {**keywords, "argnums": tuple(source.argument_names.index(name) for name in arguments)}
    if output is not None:
        source = component(source, output, keywords.get("has_aux", False))
    extra = {"directions": directions, "arguments": arguments, "leaves": source.input_names}
    return build("partial", parts, source, keywords, extra)


def _named_arguments(source: Differentiable, directions: tuple[Direction, ...]) -> tuple[str, ...]:
    """The arguments that are named; none where positions alone are given, or keys of a dict."""
    first = [d[0] if isinstance(d, tuple) else d for d in directions]
    return tuple(name for name in source.argument_names if name in first)
