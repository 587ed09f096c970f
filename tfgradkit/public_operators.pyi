"""The operators, for editors and type checkers: written by scripts/operator_stub.py."""

from typing import Any, Literal

from .types import Derivative, Linearize, SparseJacobian

def divergence(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The divergence Σᵢ ∂yᵢ/∂xᵢ of a function whose result is shaped like x.

    One sample: ``(x) -> scalar``; batched: ``[B]``. One pass for each element of x; no Jacobian is kept. With
    ``mode="reverse"`` the passes are those of y.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the divergence.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: y is not shaped like x, or an argument of the
            wrong number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        The trace of the Jacobian from its products: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed.,
        SIAM 2008, ch. 3.

    Example:
        >>> tgk.divergence(lambda x: x**2)([1.0, 2.0]).numpy().item()
        6.0
    """

def gradient(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The gradient ∇f of a scalar-valued function.

    One sample: ``(x) -> x``; batched: ``[B] + x``. A batched result ``[B, 1]`` counts as scalar-valued.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the gradient, of the
        structure, shapes and dtypes of what is differentiated by. It is traced once for each signature.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without
            a gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.
        TypeError: no such keyword.

    References:
        One reverse sweep: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> tgk.gradient(lambda x: tf.reduce_sum(x**2))([1.0, 2.0]).numpy().tolist()
        [2.0, 4.0]
    """

def hessian(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The Hessian ∂²y/∂x², of vector-valued functions, too.

    One sample: ``(x) -> y + x + x``; batched: ``[B] + y + x + x``. For a scalar-valued function (``[B, 1]`` counts)
    there is no axis for y.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Hessian; for several
        results and arguments a nest of blocks, in the structure of the results outside, of the arguments twice inside.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        Forward over reverse: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> tgk.hessian(lambda x: x[0] ** 2 * x[1])([1.0, 2.0]).numpy().tolist()
        [[4.0, 2.0], [2.0, 0.0]]
    """

def hvp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The Hessian–vector product (∇²f) v of a scalar-valued function, without the Hessian.

    One sample: ``(x, tangents=v) -> x`` for v shaped like x; batched: ``[B] + x``. ``[B, 1]`` counts as scalar-valued.
    ``mode``, ``strategy`` and ``chunk_size`` have nothing to choose.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the product,
        both in the structure of what is differentiated by.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without
            a gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.
        TypeError: no such keyword.

    References:
        B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994; A. Griewank and
        A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> tgk.hvp(lambda x: x[0] ** 2 * x[1])([1.0, 2.0], tangents=[1.0, 0.0]).numpy().tolist()
        [4.0, 2.0]
    """

def jacobian(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The Jacobian ∂y/∂x.

    One sample: ``(x) -> y + x``, the axes of the result before those of the argument; batched: ``[B] + y + x``, a
    block for each sample.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Jacobian; for several
        results and arguments a nest of blocks, in the structure of the results outside, of the arguments inside. Its
        ``.plan`` says which mode and strategy were chosen, and why.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

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

def jvp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The Jacobian–vector product (∂y/∂x) v: one forward sweep.

    One sample: ``(x, tangents=v) -> y`` for v shaped like x; batched: ``[B] + y``. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, in the structure of
        what is differentiated by, it returns the product alone, in that of the results.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.1; as the transpose of the
        reverse product: J. Townsend, "A new trick for calculating Jacobian vector products", 2017.

    Example:
        >>> tgk.jvp(lambda x: x**2)([1.0, 2.0], tangents=[1.0, 10.0]).numpy().tolist()
        [2.0, 40.0]
    """

def laplacian(
    fn: Any,
    *,
    method: str = "forward",
    probes: int = 16,
    seed: int | None = None,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The Laplacian Σᵢ ∂²y/∂xᵢ² over all elements of x, of vector-valued functions, too.

    One sample: ``(x) -> y``; batched: ``[B] + y``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        method: "forward" carries value, slopes and Laplacian together through the graph, without a Hessian, and
            does as "exact" where an op has no rule: loops, state, custom gradients. "exact" takes the second
            derivative along each axis by nesting. "hutchinson" estimates: the mean of vᵀHv over random signs v,
            without bias.
        probes: how many v, for "hutchinson".
        seed: for "hutchinson": the same v at each call; None draws new ones.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the Laplacian, in the
        structure and shapes of the results.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: no such method, number of probes or keyword's value; from the call: an argument of the wrong
            number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        "forward": R. Li et al., Nature Machine Intelligence 6, 2024, arXiv 2307.08214; as a collapsed Taylor mode:
        F. Dangel et al., 2025, arXiv 2505.13644. "hutchinson": M. F. Hutchinson, Communications in Statistics 19, 1990.

    Example:
        >>> tgk.laplacian(lambda x: x[0] ** 2 + 3 * x[1] ** 2)([1.0, 2.0]).numpy().item()
        8.0
    """

def linearize(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Linearize:
    """The value at a point and the Jacobian there as products ``(y, LinearMap)``: the function runs once.

    One sample: ``(x) -> (y, LinearMap)`` with ``matvec: x -> y`` and ``rmatvec: y -> x``; batched: ``[B]`` before each,
    and the map is block-diagonal. By variables, the map is that of the whole batch. ``matvec`` and ``rmatvec`` cost
    about as much as the function, each, and never trace again. SciPy's solvers take the map as it is: a Newton–Krylov
    solve is ``scipy.sparse.linalg.gmres(map, -residual)``. ``mode``, ``strategy`` and ``chunk_size`` have nothing to
    choose.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.types.Linearize`: called with the arguments of ``fn``, it returns the pair of value and
        :class:`~tfgradkit.LinearMap`; with ``has_aux`` the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        The products: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2. The cut of the
        graph at the point, by partial evaluation: R. Frostig et al., "Decomposing reverse-mode automatic
        differentiation", 2021, arXiv 2105.09469.

    Example:
        >>> y, J = tgk.linearize(lambda x: x**2)([1.0, 2.0])
        >>> J.matvec(np.array([1.0, 10.0])).tolist(), J.rmatvec(np.array([1.0, 10.0])).tolist()
        ([2.0, 40.0], [2.0, 40.0])
    """

def partial(
    fn: Any,
    *directions: int | str | tuple[Any, ...],
    output: Any = None,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """One mixed partial derivative, of any order; nothing else is formed.

    One sample: ``(x) -> y``; batched: ``[B] + y``. ``partial(f, 0, 0)`` is ∂²y/∂x₀², ``partial(u, "x", "x")`` of
    ``u(x, t)`` ∂²u/∂x², ``partial(u, ("x", 0), "t")`` ∂²u/∂x₀∂t.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        directions: what to differentiate by, in any order: positions along the last axis of x; names of arguments,
            of keys of a dict, or of a Keras model's inputs, where such a one is a single coordinate; or pairs of
            name and position. Axes between the batch's and the last count points: the function is to treat each for
            itself.
        output: which result: a key or index of a structure, a position along the last axis of a tensor, or a tuple
            of such; None: all of it.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the derivative, in the
        structure and shapes of the results, or of the ``output``.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: no such direction, output or keyword's value, at once or from the call; from the call: an
            argument of the wrong number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        Nested forward sweeps: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 13.

    Example:
        >>> tgk.partial(lambda x: x[0] ** 2 * x[1], 0, 1)([1.0, 2.0]).numpy().item()
        2.0
    """

def sparse_jacobian(
    fn: Any,
    *,
    pattern: Any = None,
    format: Literal["csr", "block", "tensors"] = "csr",
    check: bool = False,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> SparseJacobian:
    """The Jacobian ∂y/∂x as a SciPy CSR matrix, from as few passes as its pattern allows.

    One sample: ``(x) ->`` a matrix, flattened y by flattened x, in row-major order; batched: a list of one for each
    sample. Several results and arguments (``argnums``) are rows and columns one after another, in the order of
    ``tf.nest``. ``wrt`` is "inputs", and unconnected outputs are empty rows.

    Args:
        fn: as for every operator; sizes but the batch's have to be known.
        pattern: where entries may be other than zero, for one sample: a SciPy sparse matrix (each stored entry
            counts), a dense mask, or a ``tf.SparseTensor``. None: detected from the graph.
        format: "csr", one matrix a sample; "block", one block-diagonal CSR matrix for the batch; "tensors", a
            :class:`~tfgradkit.types.CSRTensors` with data ``[B, nnz]`` and one pattern. Inside a ``tf.function``,
            always the last.
        check: whether each eager call is compared with a product with a random vector, to find a given pattern that
            misses entries.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.types.SparseJacobian`: called with the arguments of ``fn``, it returns the matrices;
        ``.pattern`` is the pattern, ``.plan`` says how many colours it took.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a pattern of the wrong shape, ``wrt`` other than "inputs", or no such value of a keyword;
            from the call: an argument of the wrong number, structure, shape or dtype.
        GradientError: from the call: with ``check``, the pattern misses an entry; or the derivative does not exist:
            an op without a gradient, samples of a batch that influence each other.
        TypeError: no such keyword.
        VersionError: SciPy is not installed.

    References:
        Compression by colours: A. R. Curtis, M. J. D. Powell, J. K. Reid, J. Inst. Maths Applics 13, 1974;
        A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian?", SIAM Review 47, 2005. Patterns as index
        sets: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 7 and 8.

    Example:
        >>> tgk.sparse_jacobian(lambda x: x**2)(np.array([1.0, 2.0])).toarray().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """

def value_and_divergence(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the divergence ``(y, Σᵢ ∂yᵢ/∂xᵢ)``, from one pass; see :func:`divergence`.

    One sample: ``(x) -> (y, scalar)``; batched: ``([B] + y, [B])``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: y is not shaped like x, or an argument of the
            wrong number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        The trace of the Jacobian from its products: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed.,
        SIAM 2008, ch. 3.

    Example:
        >>> y, found = tgk.value_and_divergence(lambda x: x**2)([1.0, 2.0])
        >>> y.numpy().tolist(), found.numpy().item()
        ([1.0, 4.0], 6.0)
    """

def value_and_gradient(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the gradient ``(y, ∇f)`` of a scalar-valued function, from one pass; see :func:`gradient`.

    One sample: ``(x) -> (y, x)``; batched: ``([B], [B] + x)``: y is without the 1 of ``[B, 1]``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        ``(y, ∇f, aux)``.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without
            a gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.
        TypeError: no such keyword.

    References:
        One reverse sweep: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> y, slope = tgk.value_and_gradient(lambda x: tf.reduce_sum(x**2))([1.0, 2.0])
        >>> y.numpy().tolist(), slope.numpy().tolist()
        (5.0, [2.0, 4.0])
    """

def value_and_hvp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the product ``(y, (∇²f) v)`` of a scalar-valued function, from one pass; see :func:`hvp`.

    One sample: ``(x, tangents=v) -> (y, x)``; batched: ``([B], [B] + x)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the pair;
        with ``has_aux`` the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the function is vector-valued; or the derivative does not exist: an op without
            a gradient, samples of a batch that influence each other, ``unconnected="raise"`` and no dependence.
        TypeError: no such keyword.

    References:
        B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994; A. Griewank and
        A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> y, product = tgk.value_and_hvp(lambda x: x[0] ** 2 * x[1])([1.0, 2.0], tangents=[1.0, 0.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        (2.0, [4.0, 2.0])
    """

def value_and_jacobian(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the Jacobian ``(y, ∂y/∂x)``, from one pass; see :func:`jacobian`.

    One sample: ``(x) -> (y, y + x)``; batched: ``([B] + y, [B] + y + x)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        ``(y, J, aux)``.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        The modes, and the passes they take: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008,
        ch. 3; forward products as the transpose of reverse ones: J. Townsend, "A new trick for calculating Jacobian
        vector products", 2017.

    Example:
        >>> y, J = tgk.value_and_jacobian(lambda x: x**2)([1.0, 2.0])
        >>> y.numpy().tolist(), J.numpy().tolist()
        ([1.0, 4.0], [[2.0, 0.0], [0.0, 4.0]])
    """

def value_and_jvp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the product ``(y, (∂y/∂x) v)``, from one pass; see :func:`jvp`.

    One sample: ``(x, tangents=v) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``tangents=``, it returns the pair;
        with ``has_aux`` the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.1; as the transpose of the
        reverse product: J. Townsend, "A new trick for calculating Jacobian vector products", 2017.

    Example:
        >>> y, product = tgk.value_and_jvp(lambda x: x**2)([1.0, 2.0], tangents=[1.0, 10.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        ([1.0, 4.0], [2.0, 40.0])
    """

def value_and_laplacian(
    fn: Any,
    *,
    method: str = "forward",
    probes: int = 16,
    seed: int | None = None,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the Laplacian ``(y, Σᵢ ∂²y/∂xᵢ²)``, from one pass; see :func:`laplacian`.

    One sample: ``(x) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        method: "forward" carries value, slopes and Laplacian together through the graph, without a Hessian, and
            does as "exact" where an op has no rule: loops, state, custom gradients. "exact" takes the second
            derivative along each axis by nesting. "hutchinson" estimates: the mean of vᵀHv over random signs v,
            without bias.
        probes: how many v, for "hutchinson".
        seed: for "hutchinson": the same v at each call; None draws new ones.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: no such method, number of probes or keyword's value; from the call: an argument of the wrong
            number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        "forward": R. Li et al., Nature Machine Intelligence 6, 2024, arXiv 2307.08214; as a collapsed Taylor mode:
        F. Dangel et al., 2025, arXiv 2505.13644. "hutchinson": M. F. Hutchinson, Communications in Statistics 19, 1990.

    Example:
        >>> y, found = tgk.value_and_laplacian(lambda x: x[0] ** 2 + 3 * x[1] ** 2)([1.0, 2.0])
        >>> y.numpy().item(), found.numpy().item()
        (13.0, 8.0)
    """

def value_and_partial(
    fn: Any,
    *directions: int | str | tuple[Any, ...],
    output: Any = None,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and one mixed partial derivative, from one pass; see :func:`partial`.

    One sample: ``(x) -> (y, y)``; batched: ``([B] + y, [B] + y)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        directions: what to differentiate by, in any order: positions along the last axis of x; names of arguments,
            of keys of a dict, or of a Keras model's inputs, where such a one is a single coordinate; or pairs of
            name and position. Axes between the batch's and the last count points: the function is to treat each for
            itself.
        output: which result: a key or index of a structure, a position along the last axis of a tensor, or a tuple
            of such; None: all of it.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the pair; with ``has_aux``
        the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: no such direction, output or keyword's value, at once or from the call; from the call: an
            argument of the wrong number, structure, shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        Nested forward sweeps: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 13.

    Example:
        >>> y, found = tgk.value_and_partial(lambda x: x[0] ** 2 * x[1], 0, 1)([1.0, 2.0])
        >>> y.numpy().item(), found.numpy().item()
        (2.0, 2.0)
    """

def value_and_sparse_jacobian(
    fn: Any,
    *,
    pattern: Any = None,
    format: Literal["csr", "block", "tensors"] = "csr",
    check: bool = False,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> SparseJacobian:
    """The value and the sparse Jacobian ``(y, ∂y/∂x)``, from one pass; see :func:`~tfgradkit.sparse_jacobian`.

    One sample: ``(x) -> (y, matrix)``; batched: ``([B] + y, list of matrices)``.

    Args:
        fn: as for every operator; sizes but the batch's have to be known.
        pattern: where entries may be other than zero, for one sample: a SciPy sparse matrix (each stored entry
            counts), a dense mask, or a ``tf.SparseTensor``. None: detected from the graph.
        format: "csr", one matrix a sample; "block", one block-diagonal CSR matrix for the batch; "tensors", a
            :class:`~tfgradkit.types.CSRTensors` with data ``[B, nnz]`` and one pattern. Inside a ``tf.function``,
            always the last.
        check: whether each eager call is compared with a product with a random vector, to find a given pattern that
            misses entries.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.types.SparseJacobian`: called with the arguments of ``fn``, it returns the pair; with
        ``has_aux`` the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a pattern of the wrong shape, ``wrt`` other than "inputs", or no such value of a keyword;
            from the call: an argument of the wrong number, structure, shape or dtype.
        GradientError: from the call: with ``check``, the pattern misses an entry; or the derivative does not exist:
            an op without a gradient, samples of a batch that influence each other.
        TypeError: no such keyword.
        VersionError: SciPy is not installed.

    References:
        Compression by colours: A. R. Curtis, M. J. D. Powell, J. K. Reid, J. Inst. Maths Applics 13, 1974;
        A. H. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian?", SIAM Review 47, 2005. Patterns as index
        sets: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 7 and 8.

    Example:
        >>> y, J = tgk.value_and_sparse_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
        >>> y.numpy().tolist(), J.toarray().tolist()
        ([1.0, 4.0], [[2.0, 0.0], [0.0, 4.0]])
    """

def value_and_vjp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The value and the product ``(y, uᵀ ∂y/∂x)``, from one pass; see :func:`vjp`.

    One sample: ``(x, output_gradients=u) -> (y, x)``; batched: ``([B] + y, [B] + x)``.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``output_gradients=``, it returns the
        pair; with ``has_aux`` the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> y, product = tgk.value_and_vjp(lambda x: x**2)([1.0, 2.0], output_gradients=[1.0, 10.0])
        >>> y.numpy().tolist(), product.numpy().tolist()
        ([1.0, 4.0], [2.0, 40.0])
    """

def value_gradient_and_hessian(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """Value, first and second derivative ``(y, ∂y/∂x, ∂²y/∂x²)``, from one pass; see :func:`hessian`.

    One sample: ``(x) -> (y, y + x, y + x + x)``; batched: ``[B]`` before each. Of any function; where it is
    scalar-valued (``[B, 1]`` counts) the first derivative is ∇f, and there is no axis for y.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn``, it returns the three; with ``has_aux``
        the aux comes last.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        Forward over reverse: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 5.

    Example:
        >>> y, slope, curvature = tgk.value_gradient_and_hessian(lambda x: x[0] ** 2 * x[1])([1.0, 2.0])
        >>> y.numpy().tolist(), slope.numpy().tolist(), curvature.numpy().tolist()
        (2.0, [4.0, 1.0], [[4.0, 2.0], [2.0, 0.0]])
    """

def vjp(
    fn: Any,
    *,
    argnums: int | tuple[int, ...] = 0,
    wrt: Any = "inputs",
    of: str | None = None,
    batched: bool | None = None,
    has_aux: bool = False,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    strategy: Literal["auto", "vectorize", "tile", "loop"] = "auto",
    chunk_size: int | Literal["auto"] | None = None,
    memory_limit: int | None = None,
    unconnected: Literal["zero", "none", "raise"] = "zero",
    jit_compile: bool | Literal["auto"] = "auto",
    verify: Literal["first", "differences", "off"] = "first",
    training: bool = False,
) -> Derivative:
    """The vector–Jacobian product uᵀ ∂y/∂x: one reverse sweep.

    One sample: ``(x, output_gradients=u) -> x`` for u shaped like y; batched: ``[B] + x``. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Args:
        fn: what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a
            ``tf.Module`` with ``__call__``, what :func:`tfgradkit.load` returned, or another
            :class:`~tfgradkit.Derivative`; its arguments and results are any ``tf.nest`` of tensors.
        argnums: position of the argument that is differentiated by, or a tuple of several: the result has a part
            for each.
        wrt: "inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order;
            "layer:NAME", the result of a layer of a Keras model; or a list of variables.
        of: what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of
            ``fn``.
        batched: whether the first axis of arguments and results counts independent samples. None: True for Keras
            models and layers and for loaded graphs whose first axis is unknown; as the inner one for a
            ``Derivative``; False for other functions.
        has_aux: whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.
        mode: "forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.
        strategy: how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop",
            one after another; "auto" vectorizes where every op can be. It changes the cost, never the value.
        chunk_size: how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.
        memory_limit: bytes that intermediate results may take: samples, then passes, run a few at a time; None: no
            limit, but for chunk_size="auto", which keeps to 256 MiB.
        unconnected: what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a
            GradientError.
        jit_compile: True compiles with XLA, once for each batch size; "auto" and False don't.
        verify: what the first result of each trace is compared with, outside of graphs: "first", a plain product of
            the tape along random directions; "differences", with the values of the function, too; "off", nothing.
            See :mod:`tfgradkit.derivatives.self_check` for what can't be compared.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.Derivative`: called with the arguments of ``fn`` and ``output_gradients=``, in the
        structure of the results, it returns the product alone, in that of what is differentiated by.

    Raises:
        SourceError: ``fn`` can't be used as a function.
        SignatureError: a keyword has no such value; from the call: an argument of the wrong number, structure,
            shape or dtype.
        GradientError: from the call: the derivative does not exist: an op without a gradient, samples of a batch
            that influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.
        TypeError: no such keyword.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2.

    Example:
        >>> tgk.vjp(lambda x: x**2)([1.0, 2.0], output_gradients=[1.0, 10.0]).numpy().tolist()
        [2.0, 40.0]
    """
