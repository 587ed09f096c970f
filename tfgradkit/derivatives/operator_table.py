"""Which operators there are, what seeds they take, and how their parts are laid out."""

from __future__ import annotations

from collections.abc import Callable

from .divergence import divergence
from .first_order import Parts, gradient, jvp, value, vjp
from .jacobian import jacobian
from .laplacian import laplacian
from .partials import partial
from .problem import Problem
from .second_order import hessian, hvp
from .sparse.compression import sparse_jacobian

OPERATORS: dict[str, Callable[[Problem], Parts]] = {
    rule.__name__: rule
    for rule in (
        *(value, jacobian, vjp, jvp, gradient, hessian, hvp),
        *(laplacian, divergence, partial, sparse_jacobian),
    )
}
SEED_NAMES = {"vjp": "output_gradients", "jvp": "tangents", "hvp": "tangents"}
# These multiply by the full Jacobian, whether or not the samples of a batch influence each other.
EXACT_PRODUCTS = frozenset({"value", "vjp", "jvp", "linearize"})
# By part: a letter for each level of lists, y the results, x the arguments.
LAYOUTS = {
    "value": {"value": "y"},
    "jacobian": {"value": "y", "jacobian": "yx"},
    "vjp": {"value": "y", "vjp": "x"},
    "jvp": {"value": "y", "jvp": "y"},
    "gradient": {"value": "y", "gradient": "x"},
    "hessian": {"value": "y", "gradient": "yx", "hessian": "yxx"},
    "hvp": {"value": "y", "hvp": "x"},
    # The entries of the pattern, one for all ys and xs.
    "sparse_jacobian": {"value": "y", "sparse_jacobian": ""},
    "laplacian": {"value": "y", "laplacian": "y"},
    "divergence": {"value": "y", "divergence": ""},
    "partial": {"value": "y", "partial": "y"},
}
