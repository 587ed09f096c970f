"""The front of the operators of vector analysis: ``laplacian``, ``divergence``, ``partial``."""

from __future__ import annotations

from typing import Any, Unpack

from ..differentiable import Differentiable
from ..errors import SignatureError
from ..sources.callables import component
from ..sources.resolve import resolve
from .derivative import Derivative
from .keywords import Keywords, documented
from .operators import build
from .partials import Direction, check_directions

_METHODS = ("forward", "exact", "hutchinson")


@documented()
def laplacian(
    fn: Any, *, method: str = "forward", probes: int = 16, seed: int | None = None, **keywords: Unpack[Keywords]
) -> Derivative:
    """The Laplacian Σᵢ ∂²y/∂xᵢ² over all elements of x, of vector-valued functions, too.

    One sample: ``(x) -> y``; batched: ``[B] + y``.

    Args:
        method: "forward" carries value, slopes and Laplacian together through the graph, without a Hessian, and does as
            "exact" where an op has no rule: loops, state, custom gradients. "exact" takes the second derivative along
            each axis by nesting. "hutchinson" estimates: the mean of vᵀHv over random signs v, without bias.
        probes: how many v, for "hutchinson".
        seed: for "hutchinson": the same v at each call; None draws new ones.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Laplacian, in the
        structure and shapes of the results.

    Raises:
        SignatureError: no such method, number of probes or keyword's value; from the call: an argument of the wrong
            number, structure, shape or dtype.

    References:
        "forward": R. Li et al., Nature Machine Intelligence 6, 2024, arXiv 2307.08214; as a collapsed Taylor mode:
        F. Dangel et al., 2025, arXiv 2505.13644. "hutchinson": M. F. Hutchinson, Communications in Statistics 19, 1990.

    Example:
        >>> tgk.laplacian(lambda x: x[0] ** 2 + 3 * x[1] ** 2)([1.0, 2.0]).numpy().item()
        8.0
    """
    return build("laplacian", ("laplacian",), fn, keywords, _estimate(method, probes, seed))


@documented(like=laplacian)
def value_and_laplacian(
    fn: Any, *, method: str = "forward", probes: int = 16, seed: int | None = None, **keywords: Unpack[Keywords]
) -> Derivative:
    """The value and the Laplacian ``(y, Σᵢ ∂²y/∂xᵢ²)``, from one pass; see :func:`laplacian`.

    One sample: ``(x) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Example:
        >>> y, found = tgk.value_and_laplacian(lambda x: x[0] ** 2 + 3 * x[1] ** 2)([1.0, 2.0])
        >>> y.numpy().item(), found.numpy().item()
        (13.0, 8.0)
    """
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


@documented()
def divergence(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The divergence Σᵢ ∂yᵢ/∂xᵢ of a function whose result is shaped like x.

    One sample: ``(x) -> scalar``; batched: ``[B]``. One pass for each element of x; no Jacobian is kept. With
    ``mode="reverse"`` the passes are those of y.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the divergence.

    Raises:
        SignatureError: a keyword has no such value; from the call: y is not shaped like x, or an argument of the wrong
            number, structure, shape or dtype.

    References:
        The trace of the Jacobian from its products: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed.,
        SIAM 2008, ch. 3.

    Example:
        >>> tgk.divergence(lambda x: x**2)([1.0, 2.0]).numpy().item()
        6.0
    """
    return build("divergence", ("divergence",), fn, keywords)


@documented(like=divergence)
def value_and_divergence(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the divergence ``(y, Σᵢ ∂yᵢ/∂xᵢ)``, from one pass; see :func:`divergence`.

    One sample: ``(x) -> (y, scalar)``; batched: ``([B] + y, [B])``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Example:
        >>> y, found = tgk.value_and_divergence(lambda x: x**2)([1.0, 2.0])
        >>> y.numpy().tolist(), found.numpy().item()
        ([1.0, 4.0], 6.0)
    """
    return build("divergence", ("value", "divergence"), fn, keywords)


@documented()
def partial(fn: Any, *directions: Direction, output: Any = None, **keywords: Unpack[Keywords]) -> Derivative:
    """One mixed partial derivative, of any order; nothing else is formed.

    One sample: ``(x) -> y``; batched: ``[B] + y``. ``partial(f, 0, 0)`` is ∂²y/∂x₀², ``partial(u, "x", "x")`` of
    ``u(x, t)`` ∂²u/∂x², ``partial(u, ("x", 0), "t")`` ∂²u/∂x₀∂t.

    Args:
        directions: what to differentiate by, in any order: positions along the last axis of x; names of arguments, of
            keys of a dict, or of a Keras model's inputs, where such a one is a single coordinate; or pairs of name and
            position. Axes between the batch's and the last count points: the function is to treat each for itself.
        output: which result: a key or index of a structure, a position along the last axis of a tensor, or a tuple of
            such; None: all of it.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the derivative, in the
        structure and shapes of the results, or of the ``output``.

    Raises:
        SignatureError: no such direction, output or keyword's value, at once or from the call; from the call: an
            argument of the wrong number, structure, shape or dtype.

    References:
        Nested forward sweeps: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 13.

    Example:
        >>> tgk.partial(lambda x: x[0] ** 2 * x[1], 0, 1)([1.0, 2.0]).numpy().item()
        2.0
    """
    return _partial(("partial",), fn, directions, output, keywords)


@documented(like=partial)
def value_and_partial(fn: Any, *directions: Direction, output: Any = None, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and one mixed partial derivative, from one pass; see :func:`partial`.

    One sample: ``(x) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Example:
        >>> y, found = tgk.value_and_partial(lambda x: x[0] ** 2 * x[1], 0, 1)([1.0, 2.0])
        >>> y.numpy().item(), found.numpy().item()
        (2.0, 2.0)
    """
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
