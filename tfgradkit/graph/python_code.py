"""Ops that call Python code of this process: which function they call, and the exceptions that it raised."""

from __future__ import annotations

import itertools
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from ..errors import ExternalError, TfGradKitError
from .ops import everywhere

PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_PREFIX = "wrap_external."
_MARK = re.compile(r"exception (\d+) of tfgradkit")
_KEPT = 100
_kept: OrderedDict[int, TfGradKitError] = OrderedDict()
_numbers = itertools.count(1)
_lock = threading.Lock()


def op_name(function: str) -> str:
    """The name of an op that calls ``function``."""
    return _PREFIX + (re.sub(r"[^A-Za-z0-9_.-]", "_", function) or "function")


def function_behind(name: str) -> str | None:
    """The name of the function that the op called ``name`` calls; None where the op is not from ``wrap_external``."""
    parts = [part for part in name.split("/") if part.startswith(_PREFIX)]
    return re.sub(r"_\d+$", "", parts[-1].removeprefix(_PREFIX)) if parts else None


def python_ops(operations: Iterable[Any]) -> list[Any]:
    """The ops among ``operations``, and in the functions they call, that call Python code."""
    return [operation for operation in everywhere(operations) if operation.type in PYTHON_OPS]


def functions_called(operations: Iterable[Any]) -> list[str]:
    """The names of the Python functions that ``operations`` call, each once."""
    return list(dict.fromkeys(function_behind(op.name) or f"op {op.type}, {op.name}" for op in python_ops(operations)))


def refuse_compiled(functions: Iterable[str]) -> None:
    """Raises :class:`ExternalError` if there is any Python function to be compiled by XLA."""
    names = ", ".join(functions)
    if names:
        raise ExternalError(
            "code outside TensorFlow can't be compiled by XLA",
            subject=names,
            expected="jit_compile=False around it",
            got="jit_compile=True",
            hint="model.compile(..., jit_compile=False) for a Keras model that calls it in a layer of your own",
        )


def marked(error: TfGradKitError) -> Exception:
    """An exception to raise inside a graph: TensorFlow keeps its text, by which :func:`original` finds ``error``."""
    with _lock:
        number = next(_numbers)
        _kept[number] = error
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return RuntimeError(f"{error}\n(exception {number} of tfgradkit)")


@contextmanager
def own_errors() -> Iterator[None]:
    """Within the block, an exception that Python code of ours raised in a graph comes out as it was raised."""
    try:
        yield
    except tf.errors.OpError as error:
        found = original(error)
        if found is None:
            raise
        raise found from found.__cause__


def original(error: BaseException) -> TfGradKitError | None:
    """The exception behind one of TensorFlow's, where Python code of ours raised it."""
    number = _MARK.search(str(error))
    return _kept.get(int(number[1])) if number else None
