"""What TensorFlow, Keras or XLA raised, said in words of ours: which op, which line of the user's, what to try.

An exception that the user's own code raised stays what it is. Who raised one is told by its traceback, so that
TensorFlow must not have cut its own frames off it. Everything here runs on the way of a failure alone.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

from ...errors import GradientError, SignatureError, SourceError, TfGradKitError
from ..problem import SCALAR_VALUED
from ..pullback import without_gradient
from .raised_by import FILE, KERAS, first_raised, is_users_own, last_line, lines_of, op_of, shortened
from .runtime_errors import not_compiled, refusal

P = ParamSpec("P")
R = TypeVar("R")

_OP = re.compile(r"\{\{node [^}]*\}\} = (\w+)\[")
_NODE = re.compile(r"\{\{node ([^}]*)\}\}")
_FUNCTION_NODE = re.compile(r"\{\{function_node [^}]*\}\} ?")
_DEFINED = re.compile(r"Detected at node (\S+) defined at")
# How TensorFlow names what a gradient or a vectorized loop adds to a graph.
_DERIVED = re.compile("[Gg]rad|loop_body|pfor")
_GENERIC = re.compile(r"Graph execution error:|Detected at node|File \"|Stack trace|\[\[\{\{|node: |$")

# What our own code says of a result whose rank only a run tells.
RANK_UNKNOWN = "nobody knows how many axes the function's result has"
_RANK = re.compile("unknown TensorShape|shape with unknown rank|statically known rank|rank .*statically known")
# How values that are not known yet are asked for: (what Python or TensorFlow says, what to try).
_LEAVES = (
    ("[Ii]terating over a symbolic", "tf.unstack(x), tf.map_fn, or tf.vectorized_map; or a def in place of a lambda"),
    (
        "symbolic `?tf.Tensor`? as a Python `?bool",
        "tf.where or tf.cond; or a def in place of a lambda, so that AutoGraph rewrites its if",
    ),
    ("len is not well defined", "x.shape[0], or tf.shape(x)[0] where only the run knows"),
    (
        "has no attribute 'numpy'|numpy\\(\\) is only available",
        "the tensor itself, and functions of tf.math, in place of .numpy(); model(x) in place of model.predict(x); "
        "or tgk.wrap_external around what has to be NumPy",
    ),
    (
        "(Symbolic|Keras)Tensor'?$|not '?(Symbolic|Keras)Tensor|'(Symbolic|Keras)Tensor' object cannot be interpreted",
        "the tensor itself, or tf.cast, in place of float(), int(), range() and functions of Python's math",
    ),
    (
        "symbolic tf.Tensor|SymbolicTensor'? object has no attribute",
        "the same function of tf.math or tf.linalg in place of NumPy's",
    ),
    ("symbolic inputs/outputs do not implement|KerasTensor cannot be used", "a function of keras.ops in place of it"),
)
_BINDING = re.compile(
    r"positional argument|unexpected keyword argument|missing a required argument|Binding inputs to tf.function failed"
    r"|too many positional arguments|got multiple values for"
)
_FITTING = re.compile(r"[Ss]hape|[Dd]imension|[Rr]ank|dtype|\btype|incompatible|argument `num`")
_NO_GRADIENT = re.compile("No gradient defined for operation|gradient registry has no entry")
_ITSELF = "call the function itself with the same arguments: where that fails in the same way, it is not the derivative"


def of_trace(error: Exception, name: str) -> Exception:
    """What to raise for an exception that came while a derivative was traced: one of the tree, or the user's own.

    Args:
        error: with its whole traceback.
        name: the function's, for the message.
    """
    root = first_raised(error)
    if isinstance(root, TfGradKitError):
        return root if root is error else _caused(root, error)
    leaving = _leaving(root, lines_of(error, root))
    if leaving is None and is_users_own(root):
        return shortened(root)
    return _caused(leaving(name) if leaving else _of_tensorflow(error, root, name), error)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Within the block, what TensorFlow raises while it traces or runs a graph of ours becomes an error of the tree."""
    filtering = tf.debugging.is_traceback_filtering_enabled()
    try:
        if filtering:
            tf.debugging.disable_traceback_filtering()
        yield
    except (OSError, Warning):  # of files, and of the user's filters
        raise
    except tf.errors.OpError as error:
        raise of_run(error, name) from error
    except Exception as error:
        raise of_trace(error, name)  # noqa: B904  its cause is set
    finally:
        if filtering:
            tf.debugging.enable_traceback_filtering()


def translating(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a public function, whose first argument is the user's: what that raises is told as by :func:`told`."""
    signature = inspect.signature(function)

    @wraps(function)
    def translated(*args: P.args, **keywords: P.kwargs) -> R:
        try:
            first = next(iter(signature.bind(*args, **keywords).arguments.values()))
        except (TypeError, StopIteration):
            return function(*args, **keywords)  # which says itself what is wrong with the call
        with told(_name_of(first)):
            return function(*args, **keywords)

    return translated


def _name_of(fn: Any) -> str:
    own = getattr(fn, "name", None)
    return own if isinstance(own, str) else getattr(fn, "__name__", type(fn).__name__)


def of_run(error: Exception, name: str, compiled: bool = False) -> TfGradKitError:
    """The error for what a running graph raised, which stands for nothing else of ours; or for what XLA raised."""
    message = str(error)
    place = last_line(FILE.findall(message))
    told = _told(message)
    asserted = "ssert" in _named(message)
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return GradientError(
            "there is not enough memory for the derivative",
            subject=_subject(name, _named(message), place),
            got=told,
            hint="memory_limit= or chunk_size= in bytes and passes at a time; fewer samples",
        )
    if "tape_cache.pop" in message:
        return GradientError(
            "the gradient of a tf.py_function can be taken once, and this derivative takes it several times",
            subject=_subject(name, "EagerPyFunc", place),
            hint="tgk.wrap_external(fn, output_spec, derivative=...) in place of it; gradient or vjp take it once",
        )
    if compiled:  # where it runs nothing is looked at
        subject = _subject(name, None, place)
        return refusal(message, subject) or not_compiled(subject, told)
    if SCALAR_VALUED in _named(message):
        return GradientError(
            "the derivative needs a scalar-valued function",
            subject=name,
            expected="[B] or [B, 1]",
            got=told,
            hint="jacobian for all outputs, or return the one output you mean",
        )
    inside = asserted or not _DERIVED.search(_named(message))
    return (SourceError if inside else GradientError)(
        "an assertion of the function fails" if asserted else "an op of the function or of its derivative fails",
        subject=_subject(name, _named(message), place),
        got=told,
        hint=_ITSELF if asserted else f"{_ITSELF}; tgk.locate_nonfinite where a value is not finite",
    )


def _caused(error: Exception, cause: BaseException) -> Exception:
    if error.__cause__ is None and error is not cause:
        error.__cause__ = cause
    return error


def _subject(name: str, op: str | None, place: tuple[str, int] | None) -> str:
    parts = [name] + ([f"op {op}"] if op else [])
    if place is not None:
        code = linecache.getline(*place).strip()
        parts.append(f"{os.path.basename(place[0])}, line {place[1]}" + (f": {code}" if code else ""))
    return ", ".join(parts)


def _leaving(root: BaseException, lines: list[tuple[str, int]]) -> Any:
    """What makes the error where values were asked for that only the run knows; None for another exception."""
    text = str(root)
    if not isinstance(root, (NotImplementedError, TypeError, AttributeError, ValueError)) or "ensor" not in text:
        return None
    hint = next((hint for says, hint in _LEAVES if re.search(says, text)), None)
    if hint is None:
        return None

    def made(name: str) -> GradientError:
        return GradientError(
            "the calculation leaves TensorFlow, where nothing can be differentiated",
            subject=_subject(name, None, lines[-1] if lines else None),
            got=_told(text),
            hint=hint,
        )

    return made


def _of_tensorflow(error: BaseException, root: BaseException, name: str) -> TfGradKitError:
    """An error for what TensorFlow or Keras says of the function, or of its gradient."""
    text = str(root)
    op = _OP.search(text)
    lines = lines_of(error, root)
    subject = _subject(name, op[1] if op else op_of(root), lines[-1] if lines else None)
    if isinstance(root, LookupError) and _NO_GRADIENT.search(text):  # asked for where a tf.function is called
        return without_gradient(root, subject)
    got = f"{type(root).__name__}: {_told(text)}"
    if isinstance(root, ValueError) and _RANK.search(text) and not lines:
        return GradientError(
            RANK_UNKNOWN, subject=subject, got=got, hint="tf.ensure_shape(y, shape) on what the function returns"
        )
    if isinstance(root, TypeError) and _BINDING.search(text):
        return SignatureError("the function does not take these arguments", subject=subject, got=got)
    names = {frame.f_code.co_name for frame, _ in traceback.walk_tb(root.__traceback__)}
    if "contracted" in names:
        return GradientError(
            "TensorFlow can't differentiate the function here",
            subject=subject,
            got=got,
            hint='strategy="loop", or mode="reverse" in place of "forward"; tgk.register_gradient, to give the op '
            "another gradient",
        )
    if isinstance(root, (ValueError, TypeError)) and _FITTING.search(text):
        return SignatureError(
            "TensorFlow can't calculate the function of arguments like these", subject=subject, got=got, hint=_ITSELF
        )
    return SourceError("TensorFlow can't trace the function", subject=subject, got=got, hint=_ITSELF)


def _told(text: str) -> str:
    """The line of a long message that says something."""
    inner = KERAS.search(text)
    if inner is not None:
        text = inner[1]
    text = _FUNCTION_NODE.sub("", text)
    lines = [line.strip() for line in re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()]
    if lines and lines[0].startswith("Graph execution error"):
        # The stack comes first, what failed after it.
        last = max((i for i, line in enumerate(lines) if line.startswith("File ")), default=0)
        rest = [line for line in lines[last + 1 :] if line and not _GENERIC.match(line)]
        return rest[0][:300] if rest else lines[0]
    found = next((line for line in lines if line and line != "in user code:"), "")
    return found.partition(" You can attempt the following")[0][:400]


def _named(message: str) -> str:
    """The node that a running graph names."""
    found = _DEFINED.search(message) or _NODE.search(message)
    return found[1] if found else ""
