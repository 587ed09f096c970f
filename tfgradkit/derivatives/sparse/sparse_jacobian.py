"""The fronts ``sparse_jacobian(fn)`` and ``value_and_sparse_jacobian(fn)``, and the check of a pattern.

One product with a random vector is compared with that of the function itself: an entry outside the pattern shows, with
probability one, where the derivative there is not zero at the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NoReturn, Unpack, get_args

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.scipy_access import scipy_sparse
from ...differentiable import Differentiable
from ...errors import GradientError, SignatureError
from ...public import public
from ..derivative import Derivative
from ..evaluate import Trace
from ..keywords import Keywords, documented
from ..operators import build
from ..options import Options
from ..problem import positions
from .compression import ColouredStep
from .matrices import CSRTensors, index_tensors, matrices
from .pattern import Patterns, given_pattern

# In units of the dtype's precision, relative to the sum of magnitudes.
_TOLERANCE = 1e4


def checked(derivative: Derivative, arguments: Sequence[Any], data: tf.Tensor, step: ColouredStep) -> None:
    """Compares a Jacobian with a product at the same arguments, in the mode that it was made in.

    Raises:
        GradientError: they differ, so an entry is missing from the pattern.
    """
    forward = step.mode == "forward"
    seed, expected = _product(derivative, arguments, forward)
    whole = matrices(data.numpy(), step.pattern, derivative.source.batched, block=True)
    whole = whole if forward else whole.T
    difference = np.abs((whole @ seed.ravel()).reshape(expected.shape) - expected)
    scale = (abs(whole) @ np.abs(seed.ravel())).reshape(expected.shape) + np.abs(expected).max(initial=0)
    wrong = np.unique(np.argwhere(difference > _TOLERANCE * _precision(data.dtype) * scale)[:, -1])
    if len(wrong):
        raise GradientError(
            "the pattern misses an entry",
            subject=str(derivative),
            expected=f"an entry for each derivative that is not zero, in {'row' if forward else 'column'} "
            f"{', '.join(map(str, wrong[:10]))}{', …' if len(wrong) > 10 else ''}",
            got=f"a product that differs by {difference.max():.2g}",
            hint="leave pattern= out, and it is read off the graph",
        )


def _product(derivative: Derivative, arguments: Sequence[Any], forward: bool) -> tuple[np.ndarray, np.ndarray]:
    """A random seed and its product, both flat: ``[B, …]``, or without the B."""
    source, options = derivative.source, replace(derivative.options, unconnected="zero", mode="auto")
    picked = positions(options, len(arguments), source.name)
    converted = source.to_arguments(arguments, picked)
    if forward:
        like = tuple(converted[p] for p in picked) if isinstance(options.argnums, tuple) else converted[picked[0]]
    else:
        like = _first(Derivative(source, "value", ("value",), options)(*arguments), options.has_aux)
    operator, name = ("jvp", "tangents") if forward else ("vjp", "output_gradients")
    random = np.random.default_rng(0)
    seed = tf.nest.map_structure(lambda t: tf.cast(random.normal(size=t.shape), t.dtype), like)
    product = _first(Derivative(source, operator, (operator,), options)(*arguments, **{name: seed}), options.has_aux)
    return _flat(seed, source.batched), _flat(product, source.batched)


def _precision(dtype: tf.DType) -> float:
    return float(tf.experimental.numpy.finfo(dtype.real_dtype.as_numpy_dtype).eps)


def _first(results: Any, has_aux: bool) -> Any:
    return results[0] if has_aux else results


def _flat(nest: Any, batched: bool) -> np.ndarray:
    lead = 1 if batched else 0
    return np.concatenate([t.numpy().reshape(*t.shape[:lead], -1) for t in tf.nest.flatten(nest)], -1)


Format = Literal["csr", "block", "tensors"]


@public("types")
class SparseJacobian(Derivative):
    """A derivative whose matrix is sparse. Made by :func:`~tfgradkit.sparse_jacobian`."""

    format: Format = "csr"
    check = False

    def _verify(self, trace: Trace, arguments: list[Any], seed: Any, results: Any) -> None:
        """With ``check`` each call is compared, and the rows that a pattern misses are named."""
        if not self.check:
            super()._verify(trace, arguments, seed, results)
        trace.verified = True

    def _alike(self, source: Differentiable, operator: str, parts: tuple[str, ...], options: Options) -> Derivative:
        return SparseJacobian(source, operator, parts, options, {"patterns": Patterns(None)})

    def _presented(self, results: Any, trace: Trace | None, arguments: tuple[Any, ...]) -> Any:
        parts = list(results) if len(self.parts) > 1 or self.options.has_aux else [results]
        place = self.parts.index("sparse_jacobian")
        if trace is None:
            parts[place] = CSRTensors(parts[place], *index_tensors(self.extra["patterns"].latest))
        else:
            parts[place] = self._matrix(parts[place], _step(trace), arguments)
        return tuple(parts) if len(parts) > 1 else parts[0]

    def _matrix(self, entries: tf.Tensor, step: ColouredStep, arguments: tuple[Any, ...]) -> Any:
        if self.check:
            checked(self, arguments, entries, step)
        if self.format == "tensors":
            return CSRTensors(entries, *step.tensors)
        return matrices(entries.numpy(), step.pattern, self.source.batched, self.format == "block")

    @property
    def pattern(self) -> Any:
        """The latest signature's pattern as a CSR matrix of bools; before any call, of the function's own specs.

        Raises:
            SignatureError: it was not called yet, and the function has no specs.
        """
        _ = self.plan  # makes a trace where there is none
        assert self._latest is not None
        return _step(self._latest).pattern.copy()

    def as_differentiable(self, batched: bool | None = None) -> NoReturn:
        """A sparse Jacobian can't be differentiated as a function.

        Raises:
            SignatureError: always.
        """
        raise SignatureError(
            "a sparse Jacobian is not differentiated by an operator",
            subject=str(self),
            hint='jacobian has a dense one that can be; or an outer tf.GradientTape over the data of format="tensors"',
        )


@documented()
def sparse_jacobian(
    fn: Any, *, pattern: Any = None, format: Format = "csr", check: bool = False, **keywords: Unpack[Keywords]
) -> SparseJacobian:
    """The Jacobian ∂y/∂x as a SciPy CSR matrix, from as few passes as its pattern allows.

    One sample: ``(x) ->`` a matrix, flattened y by flattened x, in row-major order; batched: a list of one for each
    sample. Several results and arguments (``argnums``) are rows and columns one after another, in the order of
    ``tf.nest``. ``wrt`` is "inputs", and unconnected outputs are empty rows.

    Args:
        fn: as for every operator; sizes but the batch's have to be known.
        pattern: where entries may be other than zero, for one sample: a SciPy sparse matrix (each stored entry counts),
            a dense mask, or a ``tf.SparseTensor``. None: detected from the graph.
        format: "csr", one matrix a sample; "block", one block-diagonal CSR matrix for the batch; "tensors", a
            :class:`~tfgradkit.types.CSRTensors` with data ``[B, nnz]`` and one pattern. Inside a ``tf.function``,
            always the last.
        check: whether each eager call is compared with a product with a random vector, to find a given pattern that
            misses entries.

    Returns:
        A :class:`~tfgradkit.types.SparseJacobian`: called with the arguments of ``fn``, it returns the matrices;
        ``.pattern`` is the pattern, ``.plan`` says how many colours it took.

    Raises:
        SignatureError: a pattern of the wrong shape, ``wrt`` other than "inputs", or no such value of a keyword; from
            the call: an argument of the wrong number, structure, shape or dtype.
        GradientError: from the call: with ``check``, the pattern misses an entry; or the derivative does not exist: an
            op without a gradient, samples of a batch that influence each other.
        VersionError: SciPy is not installed.

    References:
        Compression by colours: A. R. Curtis, M. J. D. Powell, J. K. Reid, J. Inst. Maths Applics 13, 1974;
        A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian?", SIAM Review 47, 2005. Patterns as index
        sets: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 7 and 8.

    Example:
        >>> tgk.sparse_jacobian(lambda x: x**2)(np.array([1.0, 2.0])).toarray().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    return _build(("sparse_jacobian",), fn, pattern, format, check, keywords)


@documented(like=sparse_jacobian)
def value_and_sparse_jacobian(
    fn: Any, *, pattern: Any = None, format: Format = "csr", check: bool = False, **keywords: Unpack[Keywords]
) -> SparseJacobian:
    """The value and the sparse Jacobian ``(y, ∂y/∂x)``, from one pass; see :func:`~tfgradkit.sparse_jacobian`.

    One sample: ``(x) -> (y, matrix)``; batched: ``([B] + y, list of matrices)``.

    Returns:
        A :class:`~tfgradkit.types.SparseJacobian`: called with the arguments of ``fn``, it returns the pair; with
        ``has_aux`` the aux comes last.

    Example:
        >>> y, J = tgk.value_and_sparse_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
        >>> y.numpy().tolist(), J.toarray().tolist()
        ([1.0, 4.0], [[2.0, 0.0], [0.0, 4.0]])
    """
    return _build(("value", "sparse_jacobian"), fn, pattern, format, check, keywords)


def _step(trace: Trace) -> ColouredStep:
    step = trace.steps[-1]
    assert isinstance(step, ColouredStep)
    return step


def _build(
    parts: tuple[str, ...], fn: Any, pattern: Any, format: Format, check: bool, keywords: Keywords
) -> SparseJacobian:
    scipy_sparse()
    if format not in get_args(Format):
        raise SignatureError(
            "no such choice", subject="format", expected='"csr" | "block" | "tensors"', got=repr(format)
        )
    patterns = Patterns(None if pattern is None else given_pattern(pattern))
    made = build("sparse_jacobian", parts, fn, keywords, {"patterns": patterns})
    _check_wrt(made.options)
    derivative = SparseJacobian(made.source, made.operator, parts, made.options, made.extra)
    derivative.format, derivative.check = format, check
    return derivative


def _check_wrt(options: Options) -> None:
    if not isinstance(options.wrt, str) or options.wrt != "inputs":
        raise SignatureError(
            "a sparse Jacobian is by the inputs",
            subject="wrt",
            expected='"inputs"',
            got=options.wrt if isinstance(options.wrt, str) else type(options.wrt).__name__,
            hint="jacobian(fn, wrt=...) has a dense one",
        )
