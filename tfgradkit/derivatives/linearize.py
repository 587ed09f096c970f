"""``linearize``: the function once, then as many products with its Jacobian as are wanted, by a ``LinearMap``.

The graph of value, Jv and uᵀJ is cut in two: the part that depends on neither v nor u runs once, at the point, and
the products start from its results. JAX's ``linearize`` does so by partial evaluation; Griewank & Walther, "Evaluating
Derivatives", 2nd ed., ch. 3.2, for the products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from ..arguments import as_floating, map_leaves, packed_like, structure_text, tensors_of
from ..errors import SignatureError, SourceError, TfGradKitError
from ..op_gradients import register_gradient
from ..public import not_pickled, public
from .derivative import Derivative
from .evaluate import signature_of
from .failures.foreign_errors import told
from .keywords import Keywords, documented
from .operators import build
from .partial_evaluation import Stages, Written, written
from .problem import batch_axis
from .seeds import wanted_seed
from .self_check import check_first

Tensors = list[tf.Tensor]


@public("types")
@not_pickled("pickle the point, and linearize the function there again")
class LinearMap:
    """v ↦ Jv and u ↦ uᵀJ at one point, where the function was evaluated once.

    Takes and returns tensors in the structures of x and y; or flat NumPy vectors, all elements of
    all tensors one after another, in the order of ``tf.nest``, as SciPy's solvers want it: they
    take a LinearMap as it is; a complex one as its ``as_linear_operator()``, whose ``rmatvec`` is that of the conjugate
    transpose, as SciPy's is. Batched, it is block-diagonal: each sample has its own Jacobian.

    Attributes:
        inputs, outputs: specs of x and y, in their structures.
    """

    def __init__(
        self,
        forward: Callable[[Tensors], Tensors],
        reverse: Callable[[Tensors], Tensors],
        inputs: Any,
        outputs: Any,
        batched: bool,
        name: str,
    ) -> None:
        self._forward, self._reverse = forward, reverse
        self.inputs, self.outputs = inputs, outputs
        self._batched, self._name = batched, name

    @property
    def shape(self) -> tuple[int, int]:
        """Elements of y by elements of x, those of all samples.

        Raises:
            SignatureError: inside a ``tf.function`` whose batch size only the run knows.
        """
        return self._size(self.outputs), self._size(self.inputs)

    @property
    def dtype(self) -> np.dtype:
        """Of the elements of the results."""
        return np.result_type(*[s.dtype.as_numpy_dtype for s in tensors_of(self.outputs)])

    @property
    def T(self) -> LinearMap:  # noqa: N802  NumPy's name
        """The transposed map: its ``matvec`` is this one's ``rmatvec``."""
        return LinearMap(self._reverse, self._forward, self.outputs, self.inputs, self._batched, f"{self._name}.T")

    def matvec(self, v: Any) -> Any:
        """Jv: a flat vector for a flat vector, else like y for v like x.

        Raises:
            SignatureError: another size or structure.
        """
        return self._product(self._forward, v, self.inputs, self.outputs, "v")

    def rmatvec(self, u: Any) -> Any:
        """uᵀJ: a flat vector for a flat vector, else like x for u like y.

        Raises:
            SignatureError: another size or structure.
        """
        return self._product(self._reverse, u, self.outputs, self.inputs, "u")

    __call__ = __matmul__ = matvec

    def to_dense(self) -> np.ndarray:
        """The whole matrix, of ``shape``; batched with zeros between the samples. Row by row or column by column."""
        rows, columns = self.shape
        if rows < columns:
            return self.T.to_dense().T
        dense = np.zeros((rows, columns), self.dtype)
        samples = self._samples()
        inside = _places(self.inputs, samples)
        own = _places(self.outputs, samples)
        for column in range(inside.shape[1]):
            seed = np.zeros(columns, self.dtype)
            seed[inside[:, column]] = 1
            found = self.matvec(seed)
            for sample in range(samples):
                dense[own[sample], inside[sample, column]] = found[own[sample]]
        return dense

    def as_linear_operator(self) -> Any:
        """A ``scipy.sparse.linalg.LinearOperator``, which can be added, scaled and composed.

        Raises:
            TfGradKitError: SciPy is not installed.
        """
        try:
            from scipy.sparse.linalg import LinearOperator
        except ImportError as error:
            raise TfGradKitError(
                "SciPy is not installed", subject="as_linear_operator", hint='pip install "tfgradkit[sparse]"'
            ) from error
        # SciPy's rmatvec is that of the conjugate transpose.
        return LinearOperator(self.shape, self.matvec, lambda u: self.rmatvec(u.conj()).conj(), dtype=self.dtype)

    def __repr__(self) -> str:
        return f"LinearMap({self._name}: {structure_text(self.inputs)} → {structure_text(self.outputs)})"

    def _samples(self) -> int:
        return tensors_of(self.inputs)[0].shape[0] if self._batched else 1

    def _size(self, specs: Any) -> int:
        sizes = [s.shape.num_elements() for s in tensors_of(specs)]
        if None in sizes:
            raise SignatureError(
                "the size is not known here", subject=self._name, got=structure_text(specs), hint="call it eagerly"
            )
        return sum(sizes)

    def _product(self, rule: Callable[[Tensors], Tensors], given: Any, like: Any, result: Any, role: str) -> Any:
        if self._is_flat(given, like):
            parts = rule(self._split(np.asarray(given).ravel(), like, role))
            # A copy: solvers write into what they get.
            flat = [np.array(part).ravel() for part in parts]
            return flat[0] if len(flat) == 1 else np.concatenate(flat)
        seeds = tensors_of(map_leaves(_like, given, like, role))
        return packed_like(result, rule(seeds))

    def _is_flat(self, given: Any, like: Any) -> bool:
        if not isinstance(given, np.ndarray):
            return False
        specs = tensors_of(like)
        # A column, too: SciPy hands both.
        vector = given.ndim == 1 or (given.ndim == 2 and given.shape[1] == 1)
        own = len(specs) == 1 and not tf.nest.is_nested(like) and specs[0].shape.is_compatible_with(given.shape)
        return vector and (given.ndim == 1 or not own)

    def _split(self, vector: np.ndarray, like: Any, role: str) -> Tensors:
        size = self._size(like)
        if vector.size != size:
            raise SignatureError(
                f"{role} has the wrong size", subject=self._name, expected=f"[{size}]", got=f"[{vector.size}]"
            )
        parts, start = [], 0
        for spec in tensors_of(like):
            width = spec.shape.num_elements()
            part = vector[start : start + width].reshape(spec.shape.as_list())
            parts.append(tf.constant(part.astype(spec.dtype.as_numpy_dtype, copy=False)))
            start += width
        return parts


def _like(leaf: Any, role: str, spec: tf.TensorSpec) -> tf.Tensor:
    tensor = as_floating(leaf, role, spec.dtype, wide=True)
    if not spec.shape.is_compatible_with(tensor.shape):
        raise SignatureError(f"{role} has the wrong shape", expected=spec.shape, got=tensor.shape)
    return tensor


def _places(specs: Any, samples: int) -> np.ndarray:
    """Where in the flat vector the elements of each sample are: ``[samples, elements]``."""
    found: list[np.ndarray] = []
    start = 0
    for spec in tensors_of(specs):
        width = spec.shape.num_elements()
        found.append(start + np.arange(width).reshape(samples, -1))
        start += width
    return np.concatenate(found, 1)


@public("types")
class Linearize(Derivative):
    """What :func:`~tfgradkit.linearize` returns."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._stages: dict[Any, Stages] = {}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any, output_gradients: Any = None, tangents: Any = None, **keywords: Any) -> Any:
        """``(y, LinearMap)`` at the arguments."""
        if keywords:
            return self._by_name(tuple(keywords))(*arguments, *keywords.values())
        wanted_seed(self.operator, {"output_gradients": output_gradients, "tangents": tangents}, str(self))
        converted = self.converted(arguments)
        write = partial(written, self.source, self.options)
        if not tf.executing_eagerly():
            with told(str(self)):
                at = write(converted)
            return self._result(at, at.ys, at.xs, at.aux, at.forward, at.reverse)
        batch = batch_axis(self.options, converted)[0] if self.source.batched else None
        key = signature_of((converted, None), batch), register_gradient.in_force
        if key not in self._stages:
            with told(str(self)):
                stages = Stages(write, converted, batch, self.options.jit_compile is True)
                *_, forward, reverse = stages(converted)
            if self.options.verify != "off":
                products = {"jvp": forward, "vjp": reverse}
                given = self.source, self.operator, self.options
                check_first(*given, {}, converted, None, products, stages.operations, alike=Linearize)
            self._stages[key] = stages
        with told(str(self)):
            return self._result(*self._stages[key](converted))

    @property
    def trace_count(self) -> int:
        """How many signatures have been traced so far."""
        return len(self._stages)

    def as_differentiable(self, batched: bool | None = None) -> Any:
        """A map is no tensor: there is nothing to differentiate."""
        raise SourceError(
            "a linear map can't be differentiated", subject=str(self), hint="jvp or vjp of the function can be"
        )

    def _result(self, at: Written, ys: Any, xs: Any, aux: Any, forward: Any, reverse: Any) -> Any:
        block_diagonal = self.source.batched and not at.by_variables
        inputs, outputs = at.specs(xs, ys)
        linear_map = LinearMap(forward, reverse, inputs, outputs, block_diagonal, self.source.name)
        y = tf.nest.pack_sequence_as(at.y_structure, ys)
        return (y, linear_map, aux) if self.options.has_aux else (y, linear_map)


@documented()
def linearize(fn: Any, **keywords: Unpack[Keywords]) -> Linearize:
    """The value at a point and the Jacobian there as products ``(y, LinearMap)``: the function runs once.

    One sample: ``(x) -> (y, LinearMap)`` with ``matvec: x -> y`` and ``rmatvec: y -> x``; batched: ``[B]`` before each,
    and the map is block-diagonal. By variables, the map is that of the whole batch. ``matvec`` and ``rmatvec`` cost
    about as much as the function, each, and never trace again. SciPy's solvers take the map as it is: a Newton–Krylov
    solve is ``scipy.sparse.linalg.gmres(map, -residual)``. ``mode``, ``strategy`` and ``chunk_size`` have nothing to
    choose.

    Returns:
        A :class:`~tfgradkit.types.Linearize`: called with the arguments of ``fn``, it returns the pair of value and
        :class:`~tfgradkit.LinearMap`; with ``has_aux`` the aux comes last.

    References:
        The products: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2. The cut of the
        graph at the point, by partial evaluation: R. Frostig et al., "Decomposing reverse-mode automatic
        differentiation", 2021, arXiv 2105.09469.

    Example:
        >>> y, J = tgk.linearize(lambda x: x**2)([1.0, 2.0])
        >>> J.matvec(np.array([1.0, 10.0])).tolist(), J.rmatvec(np.array([1.0, 10.0])).tolist()
        ([2.0, 40.0], [2.0, 40.0])
    """
    built = build("jvp", ("value", "jvp"), fn, keywords)
    return Linearize(built.source, "linearize", ("value",), built.options)
