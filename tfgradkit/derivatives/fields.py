"""The front of the operators of vector analysis: ``laplacian``, ``divergence``, ``partial``.

They take the keywords of all operators; see :mod:`tfgradkit.derivatives.operators`.
"""

from __future__ import annotations

from typing import Any, Unpack

from ..errors import SignatureError
from .derivative import Derivative
from .operators import Keywords, build

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
