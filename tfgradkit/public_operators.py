"""The operators, as users and their editors see them.

An editor doesn't run the package: beside this file stands ``public_operators.pyi``, which has for each operator the
signature and the docstring that ``help`` shows. ``scripts/operator_stub.py`` writes it.
"""

from __future__ import annotations

from typing import Any

from .derivatives.fields import divergence as divergence
from .derivatives.fields import laplacian as laplacian
from .derivatives.fields import partial as partial
from .derivatives.fields import value_and_divergence as value_and_divergence
from .derivatives.fields import value_and_laplacian as value_and_laplacian
from .derivatives.fields import value_and_partial as value_and_partial
from .derivatives.operators import gradient as gradient
from .derivatives.operators import hessian as hessian
from .derivatives.operators import hvp as hvp
from .derivatives.operators import jacobian as jacobian
from .derivatives.operators import jvp as jvp
from .derivatives.operators import value_and_gradient as value_and_gradient
from .derivatives.operators import value_and_hvp as value_and_hvp
from .derivatives.operators import value_and_jacobian as value_and_jacobian
from .derivatives.operators import value_and_jvp as value_and_jvp
from .derivatives.operators import value_and_vjp as value_and_vjp
from .derivatives.operators import value_gradient_and_hessian as value_gradient_and_hessian
from .derivatives.operators import vjp as vjp


def __getattr__(name: str) -> Any:
    """The operators in modules that the others shall not load."""
    if name == "linearize":
        from .derivatives.linearize import linearize

        return linearize
    if name in ("sparse_jacobian", "value_and_sparse_jacobian"):
        from .derivatives.sparse.sparse_jacobian import sparse_jacobian, value_and_sparse_jacobian

        return sparse_jacobian if name == "sparse_jacobian" else value_and_sparse_jacobian
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
