"""The operators' front: ``jacobian(fn)`` and its siblings, each returning a ``Derivative``.

The keywords that all take are in :mod:`tfgradkit.derivatives.keywords`, which adds them to signatures and docstrings.
"""

from __future__ import annotations

from typing import Any, Unpack

from ..sources.resolve import resolve
from .derivative import Derivative
from .keywords import Keywords as Keywords
from .keywords import documented
from .options import Options


def build(
    operator: str, parts: tuple[str, ...], fn: Any, keywords: Keywords, extra: dict[str, Any] | None = None
) -> Derivative:
    """The derivative behind an operator's front.

    Raises:
        TypeError: a keyword that no operator has.
    """
    if unknown := set(keywords) - set(Keywords.__annotations__):
        known = ", ".join(sorted(Keywords.__annotations__))
        raise TypeError(f"{operator}() has no keyword {sorted(unknown)[0]!r}; it has {known}")
    options: dict[str, Any] = dict(keywords)
    source = resolve(fn, batched=options.pop("batched", None), training=options.pop("training", False))
    return Derivative(source, operator, parts, Options(**options), extra)


@documented()
def gradient(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The gradient ∇f of a scalar-valued function.

    One sample: ``(x) -> x``; batched: ``[B] + x``. A batched result ``[B, 1]`` counts as scalar-valued.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the gradient, of the
        structure, shapes and dtypes of what is differentiated by. It is traced once for each signature.

    Raises:
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without a
            gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.

    References:
        One reverse sweep: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> tgk.gradient(lambda x: tf.reduce_sum(x**2))([1.0, 2.0]).numpy().tolist()
        [2.0, 4.0]
    """
    return build("gradient", ("gradient",), fn, keywords)


@documented()
def jacobian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The Jacobian ∂y/∂x.

    One sample: ``(x) -> y + x``, the axes of the result before those of the argument; batched: ``[B] + y + x``, a
    block for each sample.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Jacobian; for several
        results and arguments a nest of blocks, in the structure of the results outside, of the arguments inside. Its
        ``.plan`` says which mode and strategy were chosen, and why.

    References:
        The modes, and the passes they take: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008,
        ch. 3; forward products as the transpose of reverse ones: J. Townsend, "A new trick for calculating Jacobian
        vector products", 2017.

    Example:
        >>> tgk.jacobian(lambda x: x**2)([1.0, 2.0]).numpy().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        >>> tgk.jacobian(lambda x: x**2, batched=True)([[1.0, 2.0]]).shape
        TensorShape([1, 2, 2])
    """
    return build("jacobian", ("jacobian",), fn, keywords)


@documented()
def vjp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The vector–Jacobian product uᵀ ∂y/∂x: one reverse sweep.

    One sample: ``(x, output_gradients=u) -> x`` for u shaped like y; batched: ``[B] + x``. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``output_gradients=``, in the
        structure of the results, it returns the product alone, in that of what is differentiated by.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> tgk.vjp(lambda x: x**2)([1.0, 2.0], output_gradients=[1.0, 10.0]).numpy().tolist()
        [2.0, 40.0]
    """
    return build("vjp", ("vjp",), fn, keywords)


@documented()
def jvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The Jacobian–vector product (∂y/∂x) v: one forward sweep.

    One sample: ``(x, tangents=v) -> y`` for v shaped like x; batched: ``[B] + y``. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, in the structure of
        what is differentiated by, it returns the product alone, in that of the results.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.1; as the transpose of the
        reverse product: J. Townsend, "A new trick for calculating Jacobian vector products", 2017.

    Example:
        >>> tgk.jvp(lambda x: x**2)([1.0, 2.0], tangents=[1.0, 10.0]).numpy().tolist()
        [2.0, 40.0]
    """
    return build("jvp", ("jvp",), fn, keywords)


@documented()
def hessian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The Hessian ∂²y/∂x², of vector-valued functions, too.

    One sample: ``(x) -> y + x + x``; batched: ``[B] + y + x + x``. For a scalar-valued function (``[B, 1]`` counts)
    there is no axis for y.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Hessian; for several
        results and arguments a nest of blocks, in the structure of the results outside, of the arguments twice inside.

    References:
        Forward over reverse: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> tgk.hessian(lambda x: x[0] ** 2 * x[1])([1.0, 2.0]).numpy().tolist()
        [[4.0, 2.0], [2.0, 0.0]]
    """
    return build("hessian", ("hessian",), fn, keywords)


@documented()
def hvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The Hessian–vector product (∇²f) v of a scalar-valued function, without the Hessian.

    One sample: ``(x, tangents=v) -> x`` for v shaped like x; batched: ``[B] + x``. ``[B, 1]`` counts as scalar-valued.
    ``mode``, ``strategy`` and ``chunk_size`` have nothing to choose.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the product,
        both in the structure of what is differentiated by.

    Raises:
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without a
            gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.

    References:
        B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994; A. Griewank and
        A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> tgk.hvp(lambda x: x[0] ** 2 * x[1])([1.0, 2.0], tangents=[1.0, 0.0]).numpy().tolist()
        [4.0, 2.0]
    """
    return build("hvp", ("hvp",), fn, keywords)


@documented(like=gradient)
def value_and_gradient(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the gradient ``(y, ∇f)`` of a scalar-valued function, from one pass; see :func:`gradient`.

    One sample: ``(x) -> (y, x)``; batched: ``([B], [B] + x)``: y is without the 1 of ``[B, 1]``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        ``(y, ∇f, aux)``.

    Example:
        >>> y, slope = tgk.value_and_gradient(lambda x: tf.reduce_sum(x**2))([1.0, 2.0])
        >>> y.numpy().tolist(), slope.numpy().tolist()
        (5.0, [2.0, 4.0])
    """
    return build("gradient", ("value", "gradient"), fn, keywords)


@documented(like=jacobian)
def value_and_jacobian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the Jacobian ``(y, ∂y/∂x)``, from one pass; see :func:`jacobian`.

    One sample: ``(x) -> (y, y + x)``; batched: ``([B] + y, [B] + y + x)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        ``(y, J, aux)``.

    Example:
        >>> y, J = tgk.value_and_jacobian(lambda x: x**2)([1.0, 2.0])
        >>> y.numpy().tolist(), J.numpy().tolist()
        ([1.0, 4.0], [[2.0, 0.0], [0.0, 4.0]])
    """
    return build("jacobian", ("value", "jacobian"), fn, keywords)


@documented(like=vjp)
def value_and_vjp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the product ``(y, uᵀ ∂y/∂x)``, from one pass; see :func:`vjp`.

    One sample: ``(x, output_gradients=u) -> (y, x)``; batched: ``([B] + y, [B] + x)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``output_gradients=``, it returns the
        pair; with ``has_aux`` the aux comes last.

    Example:
        >>> y, product = tgk.value_and_vjp(lambda x: x**2)([1.0, 2.0], output_gradients=[1.0, 10.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        ([1.0, 4.0], [2.0, 40.0])
    """
    return build("vjp", ("value", "vjp"), fn, keywords)


@documented(like=jvp)
def value_and_jvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the product ``(y, (∂y/∂x) v)``, from one pass; see :func:`jvp`.

    One sample: ``(x, tangents=v) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the pair;
        with ``has_aux`` the aux comes last.

    Example:
        >>> y, product = tgk.value_and_jvp(lambda x: x**2)([1.0, 2.0], tangents=[1.0, 10.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        ([1.0, 4.0], [2.0, 40.0])
    """
    return build("jvp", ("value", "jvp"), fn, keywords)


@documented(like=hvp)
def value_and_hvp(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """The value and the product ``(y, (∇²f) v)`` of a scalar-valued function, from one pass; see :func:`hvp`.

    One sample: ``(x, tangents=v) -> (y, x)``; batched: ``([B], [B] + x)``.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the pair;
        with ``has_aux`` the aux comes last.

    Example:
        >>> y, product = tgk.value_and_hvp(lambda x: x[0] ** 2 * x[1])([1.0, 2.0], tangents=[1.0, 0.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        (2.0, [4.0, 2.0])
    """
    return build("hvp", ("value", "hvp"), fn, keywords)


@documented(like=hessian)
def value_gradient_and_hessian(fn: Any, **keywords: Unpack[Keywords]) -> Derivative:
    """Value, first and second derivative ``(y, ∂y/∂x, ∂²y/∂x²)``, from one pass; see :func:`hessian`.

    One sample: ``(x) -> (y, y + x, y + x + x)``; batched: ``[B]`` before each. Of any function; where it is
    scalar-valued (``[B, 1]`` counts) the first derivative is ∇f, and there is no axis for y.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the three; with ``has_aux``
        the aux comes last.

    Example:
        >>> y, slope, curvature = tgk.value_gradient_and_hessian(lambda x: x[0] ** 2 * x[1])([1.0, 2.0])
        >>> y.numpy().tolist(), slope.numpy().tolist(), curvature.numpy().tolist()
        (2.0, [4.0, 1.0], [[4.0, 2.0], [2.0, 0.0]])
    """
    return build("hessian", ("value", "gradient", "hessian"), fn, keywords)
