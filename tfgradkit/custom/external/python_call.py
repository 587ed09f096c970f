"""The user's function in Python: called with a batch of NumPy arrays, its results checked against their declaration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import ExternalError

Arrays = list[np.ndarray]
# Arrays with the samples on their first axis, in and out.
BatchFunction = Callable[[Sequence[np.ndarray]], Arrays]


@dataclass
class Outputs:
    """The declared results of a function, for one sample.

    Attributes:
        structure: the nest of the results.
        shapes: of each result, without the batch; None for a size that is not known.
        dtypes: of each result.
    """

    structure: Any
    shapes: list[tuple[int | None, ...]]
    dtypes: list[np.dtype]


@dataclass
class PythonCall:
    """A function outside TensorFlow.

    Attributes:
        fn: the user's function.
        name: for messages.
        outputs: its declared results.
        by_sample: whether it takes one sample at a time.
        allow_nan: whether a NaN for finite arguments is no error.
        dtype: the dtype that floating arguments are cast to; None for their own.
        lock: held during each call.
        calls: how often the function, or its derivative, was called.
    """

    fn: Callable[..., Any]
    name: str
    outputs: Outputs
    by_sample: bool = False
    allow_nan: bool = False
    dtype: np.dtype | None = None
    lock: AbstractContextManager[Any] = field(default_factory=threading.RLock)
    calls: int = 0

    def values(self, structure: Any, *, exact: bool = False) -> BatchFunction:
        """The function, of flat arrays for arguments in ``structure``; ``exact`` keeps the dtype of its results."""
        return lambda xs: self.check(self.run(self.fn, structure, xs), xs, exact=exact)

    def run(self, fn: Callable[..., Any], structure: Any, xs: Sequence[np.ndarray]) -> Any:
        """The result of ``fn`` for a batch; of a function that takes one sample, a list with a result for each.

        Raises:
            ExternalError: ``fn`` raised an exception, which is the cause of this one.
        """
        # Copies: the function may write into its arguments, or keep them, and the memory is TensorFlow's.
        copies = [np.array(x, self.argument_dtype(x)) for x in xs]
        with self.lock:
            try:
                if not self.by_sample:
                    return self._call(fn, structure, copies)
                return [self._call(fn, structure, [x[row] for x in copies]) for row in range(len(copies[0]))]
            except ExternalError:
                raise
            except Exception as error:
                raise ExternalError(
                    f"the function outside TensorFlow raised {type(error).__name__}",
                    subject=self.name,
                    got=str(error) or repr(error),
                ) from error

    def _call(self, fn: Callable[..., Any], structure: Any, xs: Sequence[np.ndarray]) -> Any:
        self.calls += 1
        return fn(*(xs if structure is None else tf.nest.pack_sequence_as(structure, xs)))

    def argument_dtype(self, x: np.ndarray) -> np.dtype:
        """The dtype in which the function takes the argument ``x``."""
        return self.dtype if self.dtype is not None and x.dtype.kind == "f" else x.dtype

    def check(self, y: Any, xs: Sequence[np.ndarray], *, exact: bool = False) -> Arrays:
        """The leaves of the result ``y`` for the batch ``xs``, as declared; ``exact`` keeps the dtype of floating ones.

        Raises:
            ExternalError: another structure, shape or dtype than declared, or NaN for finite arguments.
        """
        outputs = self.outputs
        leaves = self.flatten(y, outputs.structure)
        results = []
        for i, (leaf, shape, dtype) in enumerate(zip(leaves, outputs.shapes, outputs.dtypes, strict=True)):
            what = "a result" if len(leaves) == 1 else f"result {i}"
            array = self.as_array(leaf, (len(xs[0]), *shape), what)
            keep = exact and array.dtype.kind == dtype.kind == "f"
            results.append(array if keep else self.cast(array, dtype, what))
        if not self.allow_nan:
            self._refuse_nan(results, xs)
        return results

    def flatten(self, y: Any, structure: Any) -> list[Any]:
        """The leaves of a result; of a function that takes one sample, each a list with an entry for each sample."""
        if structure is None:
            return [y]
        try:
            if not self.by_sample:
                tf.nest.assert_same_structure(structure, y, check_types=False)
                return tf.nest.flatten(y)
            for row in y:
                tf.nest.assert_same_structure(structure, row, check_types=False)
            columns = list(zip(*[tf.nest.flatten(row) for row in y], strict=True))
            return columns or [()] * len(tf.nest.flatten(structure))
        except (TypeError, ValueError) as error:
            raise self._wrong(
                "another structure", str(tf.nest.map_structure(lambda _: ".", structure)), type(y).__name__
            ) from error

    def as_array(self, leaf: Any, wanted: tuple[int | None, ...], what: str) -> np.ndarray:
        """``leaf`` as an array, whose shape is checked against ``wanted``; ``what`` names it in messages."""
        if leaf is None:
            raise self._wrong("None", _text(wanted), "None", "is a return statement missing?")
        try:
            array = np.asarray(leaf)
        except ValueError as error:  # rows of different shapes
            raise self._wrong(f"{what}, whose rows differ", _text(wanted), "rows of several shapes") from error
        if self.by_sample and wanted[0] == 0:
            return np.zeros([n or 0 for n in wanted])
        if array.ndim != len(wanted) or any(w is not None and w != n for w, n in zip(wanted, array.shape, strict=True)):
            hint = None
            if not self.by_sample and array.shape == wanted[1:]:
                hint = "the function is called with a whole batch; batched=False calls it for each sample"
            raise self._wrong(f"{what} of another shape", _text(wanted), _text(array.shape), hint)
        return array

    def cast(self, array: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
        """A copy in the declared dtype: the function may use the memory of its result again."""
        if not np.can_cast(array.dtype, dtype, "same_kind"):
            hint = "only the real part, if that is meant: .real" if array.dtype.kind == "c" else None
            raise self._wrong(f"{what} of another dtype", f"{dtype}", f"{array.dtype}", hint)
        return np.array(array, dtype, order="C")

    def _refuse_nan(self, results: Sequence[np.ndarray], xs: Sequence[np.ndarray]) -> None:
        bad = [y for y in results if y.dtype.kind in "fc" and np.isnan(y).any()]
        if not bad:
            return
        finite = np.ones(len(xs[0]), bool)
        for x in xs:
            if x.dtype.kind in "fc":
                finite &= np.isfinite(x).reshape(len(x), -1).all(1)
        rows = np.flatnonzero(finite & np.isnan(bad[0]).reshape(len(finite), -1).any(1))
        if rows.size:
            raise ExternalError(
                "the function outside TensorFlow returned NaN",
                subject=self.name,
                expected="numbers, for finite arguments",
                got=f"NaN for {rows.size} of {len(finite)} samples, first sample {rows[0]}: {_sample(xs, rows[0])}",
                hint="allow_nan=True lets them pass",
            )

    def _wrong(self, what: str, expected: str, got: str, hint: str | None = None) -> ExternalError:
        return ExternalError(
            f"the function outside TensorFlow returned {what}",
            subject=self.name,
            expected=expected,
            got=got,
            hint=hint,
        )


def no_lock() -> AbstractContextManager[Any]:
    """For functions that several threads may call at once."""
    return nullcontext()


def block_starts(counts: Sequence[int]) -> list[int]:
    """Where each block begins, of blocks of these sizes one after another."""
    return [sum(counts[:i]) for i in range(len(counts))]


def _text(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in shape)}]"


def _sample(xs: Sequence[np.ndarray], row: int) -> str:
    with np.printoptions(threshold=8, edgeitems=3):
        return ", ".join(str(x[row]) for x in xs)[:200]
