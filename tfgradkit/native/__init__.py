"""A compiled library back in Python: ``load_native``. Needs NumPy alone, and imports no TensorFlow.

Not here: making the library (``export.native``).
"""

from __future__ import annotations

import os
from typing import Any

from ..public import public
from .loaded_library import ALL, DERIVATIVE, Library


def load_native(path: str | os.PathLike[str]) -> NativeLibrary:
    """The C library in a folder, as ``export_native`` wrote it; imports no TensorFlow.

    Args:
        path: the folder.

    Returns:
        A :class:`~tfgradkit.NativeLibrary`: a method for each kind of derivative in it, of NumPy arrays.

    Raises:
        LibraryError: no library there, or not one for this machine.
        ChecksumError: a file was changed, or is missing.

    Example:
        >>> library = tgk.load_native("build/eos")  # doctest: +SKIP
        >>> y, J = library.value_and_jacobian(x, threads="all")  # doctest: +SKIP
    """
    return NativeLibrary(path)


@public("types")
class NativeLibrary(Library):
    """A compiled model and its derivatives; a method for each kind in it, and a twin with the value first.

    Inputs are given in their declared order or by name. Any leading axes: an ``x`` of the sample's own
    shape is one point, ``[n] + x`` are n, and so on; several inputs have the same leading axes. A
    result of one array is that array, one of several a dict by their C names.

    Arrays of another floating dtype are converted to the library's, others that C can't read where
    they lie are copied. An input of whole numbers takes integers of any width that fit, one of booleans takes
    booleans; nothing is made of one kind from another.

    Every method takes

        out: what to write the result into, in the result's own form: an array, a dict, for a twin a tuple
            of them; None in it makes a new one. Shape and dtype must be the result's, and no memory
            shared with an argument. An array that is not contiguous is written through a copy.
        threads: at most how many threads; None and "all": one for each processor that this process
            may use. A batch that is too small to gain by it stays on the calling thread, and the
            results are the same to the last bit.

    and raises

        SignatureError: an argument that doesn't fit.
        LibraryError: a kind that is not in the library.

    A result that is not finite and an input outside its range are a RuntimeWarning.
    The interpreter is free during a call of more than ten microseconds; calls from several threads may overlap.

    Beside the methods below: ``kinds``, ``input_names``, ``output_names``, ``metadata``, ``path``, ``binding``,
    ``call`` for the C functions as they are, ``verify`` for the recorded points, and ``errors_against_float64``
    for what float32 costs there.
    """

    def value(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """y, shaped ``[...] + y``."""
        return self._calls["value", ALL](inputs, named, None, out, threads)

    def jacobian(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """∂y/∂x, shaped ``[...] + y + x``."""
        return self._calls["jacobian", DERIVATIVE](inputs, named, None, out, threads)

    def value_and_jacobian(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """``(y, ∂y/∂x)`` from one pass."""
        return self._calls["jacobian", ALL](inputs, named, None, out, threads)

    def vjp(
        self, *inputs: Any, output_gradients: Any = None, out: Any = None, threads: Any = None, **named: Any
    ) -> Any:
        """uᵀ ∂y/∂x for u shaped like y; shaped like x.

        For several outputs ``output_gradients`` is a tuple, or a dict by their names.
        """
        return self._calls["vjp", DERIVATIVE](inputs, named, output_gradients, out, threads)

    def value_and_vjp(
        self, *inputs: Any, output_gradients: Any = None, out: Any = None, threads: Any = None, **named: Any
    ) -> Any:
        """``(y, uᵀ ∂y/∂x)`` from one pass."""
        return self._calls["vjp", ALL](inputs, named, output_gradients, out, threads)

    def jvp(self, *inputs: Any, tangents: Any = None, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """(∂y/∂x) v for v shaped like x; shaped like y.

        For several inputs ``tangents`` is a tuple, or a dict by their names.
        """
        return self._calls["jvp", DERIVATIVE](inputs, named, tangents, out, threads)

    def value_and_jvp(
        self, *inputs: Any, tangents: Any = None, out: Any = None, threads: Any = None, **named: Any
    ) -> Any:
        """``(y, (∂y/∂x) v)`` from one pass."""
        return self._calls["jvp", ALL](inputs, named, tangents, out, threads)

    def gradient(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """∇y of an output of one number; shaped like x."""
        return self._calls["gradient", DERIVATIVE](inputs, named, None, out, threads)

    def value_and_gradient(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """``(y, ∇y)`` from one pass."""
        return self._calls["gradient", ALL](inputs, named, None, out, threads)

    def hessian(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """∂²y/∂x², shaped ``[...] + y + x + x``; without y for an output of one number."""
        return self._calls["hessian", DERIVATIVE](inputs, named, None, out, threads)

    def value_gradient_and_hessian(self, *inputs: Any, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """``(y, ∂y/∂x, ∂²y/∂x²)`` from one pass."""
        return self._calls["hessian", ALL](inputs, named, None, out, threads)

    def hvp(self, *inputs: Any, tangents: Any = None, out: Any = None, threads: Any = None, **named: Any) -> Any:
        """(∇²y) v of an output of one number, for v shaped like x; shaped like x."""
        return self._calls["hvp", DERIVATIVE](inputs, named, tangents, out, threads)

    def value_and_hvp(
        self, *inputs: Any, tangents: Any = None, out: Any = None, threads: Any = None, **named: Any
    ) -> Any:
        """``(y, (∇²y) v)`` from one pass."""
        return self._calls["hvp", ALL](inputs, named, tangents, out, threads)
