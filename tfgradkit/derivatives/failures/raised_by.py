"""Who raised an exception, and where: the user's code, or TensorFlow, Keras and this package.

TensorFlow must not have cut its own frames off the traceback.
"""

from __future__ import annotations

import dis
import os
import re
import sys
import traceback
from collections.abc import Iterable
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_GENERATED = "__autograph_generated_file"
FILE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
KERAS = re.compile("Exception encountered when calling .*?\n\n\x1b\\[1m(.*?)\x1b\\[0m", re.DOTALL)


def first_raised(error: BaseException) -> BaseException:
    """The exception that was raised first: AutoGraph raises a copy that says where in the user's code."""
    seen = set()
    while id(error) not in seen and "in user code:" in str(error).lstrip()[:20] and error.__context__ is not None:
        seen.add(id(error))
        error = error.__context__
    return error


def is_users_own(root: BaseException) -> bool:
    """Whether code that is neither TensorFlow's nor ours raised it."""
    frames = list(traceback.walk_tb(root.__traceback__))
    if not frames:
        return False
    frame, _ = frames[-1]
    if is_internal(frame.f_code.co_filename):
        return False
    if type(root).__module__.startswith(("tensorflow", "keras")):
        return _raises(root.__traceback__)
    return _raises(root.__traceback__) or KERAS.search(str(root)) is None


def _raises(tb: Any) -> bool:
    """Whether the last frame of a traceback is at a ``raise``, rather than in a call that was cut off below."""
    while tb.tb_next is not None:
        tb = tb.tb_next
    code = tb.tb_frame.f_code.co_code
    return dis.opname[code[tb.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")


def is_internal(filename: str) -> bool:
    """Whether a file is TensorFlow's, Keras' or of this package."""
    if filename.startswith(_roots()):
        return True
    if "tensorflow/python/" in filename or "keras/src/" in filename:
        return True
    # In what XLA says, the beginning of a path is cut off.
    _, found, rest = filename.rpartition("tfgradkit/")
    return bool(found) and not os.path.isabs(filename) and os.path.exists(os.path.join(_PACKAGE, rest))


def _roots() -> tuple[str, ...]:
    found = [_PACKAGE + os.sep]
    for name in ("tensorflow", "keras", "tf_keras"):
        file = getattr(sys.modules.get(name), "__file__", None)
        found += [os.path.dirname(file) + os.sep] if file else []
    return tuple(found)


def lines_of(error: BaseException, root: BaseException) -> list[tuple[str, int]]:
    """The user's lines, outermost first; those of code that AutoGraph rewrote are in its message."""
    told = [(file, int(line)) for file, line, _ in FILE.findall(str(error)) if not is_internal(file)]
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(root.__traceback__)]
    seen = [(file, line) for file, line in frames if not is_internal(file) and _GENERATED not in file]
    generated = any(_GENERATED in file for file, _ in frames)
    found = [*seen, *told] if generated or not seen else seen
    # Of NumPy, say, the line that called it.
    return [(file, line) for file, line in found if "site-packages" not in file] or found


def last_line(found: Iterable[tuple[str, str, str]]) -> tuple[str, int] | None:
    """The user's innermost line of those that a message tells, as (file, line, function)."""
    lines = [(file, int(line)) for file, line, _ in found if not is_internal(file) and not file.startswith("<frozen")]
    if not lines:
        return None
    file, line = lines[-1]
    # XLA leaves the beginning of a path out.
    return (file if os.path.exists(file) or not os.path.exists(os.sep + file) else os.sep + file), line


def op_of(root: BaseException) -> str | None:
    """The op whose rule of shapes, gradient or vectorization raised, where a frame says so."""
    for frame, _ in reversed(list(traceback.walk_tb(root.__traceback__))):
        op = frame.f_locals.get("op")
        kind = getattr(op, "type", None)
        if isinstance(kind, str):
            return kind
    return None


def shortened(error: BaseException) -> Exception:
    """The user's exception, its traceback without the frames that are not the user's."""
    kept = [tb for tb in _each(error.__traceback__) if not is_internal(tb.tb_frame.f_code.co_filename)]
    shown = None
    for tb in reversed(kept):
        shown = type(tb)(shown, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    assert isinstance(error, Exception)
    return error.with_traceback(shown)


def _each(tb: Any) -> Iterable[Any]:
    while tb is not None:
        yield tb
        tb = tb.tb_next
