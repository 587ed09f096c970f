"""SciPy, which sparse Jacobians need and the rest of the package doesn't."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ...errors import VersionError


def scipy_sparse() -> Any:
    """The module ``scipy.sparse``.

    Raises:
        VersionError: SciPy is not installed.
    """
    return _imported("scipy.sparse")


def group_columns() -> Callable[[Any, Any], Any]:
    """SciPy's greedy grouping of columns that share no row; the one name here that is not in SciPy's public API.

    Raises:
        VersionError: SciPy is not installed, or no longer has it.
    """
    module = _imported("scipy.optimize._numdiff")
    if not hasattr(module, "group_columns"):
        raise VersionError(
            "this SciPy has no group_columns",
            subject="scipy.optimize._numdiff",
            got=_imported("scipy").__version__,
            hint="another SciPy; 1.17 has it",
        )
    found: Callable[[Any, Any], Any] = module.group_columns
    return found


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise VersionError(
            "sparse Jacobians need SciPy", got=str(error), hint="pip install tfgradkit[sparse]"
        ) from error
