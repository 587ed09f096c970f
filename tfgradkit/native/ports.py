"""The arrays of a C function, as the metadata describe them, and memory as C sees it: addresses and workspaces."""

from __future__ import annotations

import ctypes
import math
import threading
from typing import Any

import numpy as np

from ..errors import SignatureError

_ALIGNMENT = 64


class ArrayPort:
    """The name of an array, the shape of one point, and the dtype."""

    __slots__ = ("dtype", "name", "point_bytes", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.point_bytes = math.prod(shape) * dtype.itemsize

    def array(self, value: Any, subject: str) -> np.ndarray:
        """``value`` as C can read it, of this dtype and contiguous; a copy only where it isn't that already.

        Raises:
            SignatureError: no array of such numbers that ends with this shape: floating ones, integers that the
                dtype has, or booleans.
        """
        array = value if type(value) is np.ndarray else self._converted(value, subject)
        if array.dtype != self.dtype:
            array = self._cast(array, subject)
        rank = len(self.shape)
        if array.ndim < rank or array.shape[array.ndim - rank :] != self.shape:
            raise SignatureError(
                f"{self.name} has the wrong shape",
                subject=subject,
                expected=f"[...] + {list(self.shape)}",
                got=list(array.shape),
            )
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)

    def _cast(self, array: np.ndarray, subject: str) -> np.ndarray:
        """``array`` in this dtype, from another one of its kind."""
        kind = self.dtype.kind if self.dtype.kind in "fb" else "iu"
        if array.dtype.kind not in kind:
            what, hint = _KINDS[kind] if array.dtype.kind in "fiu" else (_KINDS[kind][0], "{name}.astype({dtype!r})")
            raise SignatureError(
                f"{self.name} is not {what}",
                subject=subject,
                expected=str(self.dtype),
                got=str(array.dtype),
                hint=hint.format(name=self.name, dtype=self.dtype.name),
            )
        if kind == "iu" and array.size:
            least, most, limits = int(array.min()), int(array.max()), np.iinfo(self.dtype)
            if least < limits.min or most > limits.max:
                raise SignatureError(
                    f"{self.name} has an integer that its dtype doesn't have",
                    subject=subject,
                    expected=f"{self.dtype}: {limits.min} to {limits.max}",
                    got=f"{least if least < limits.min else most}",
                )
        return array.astype(self.dtype)

    def _converted(self, value: Any, subject: str) -> np.ndarray:
        if value is None:
            raise SignatureError(f"{self.name} is missing", subject=subject)
        try:
            return np.asarray(value)
        except (TypeError, ValueError) as error:
            raise SignatureError(f"{self.name} can't be made an array", subject=subject, got=str(error)) from error

    def check_out(self, out: Any, lead: tuple[int, ...], subject: str) -> None:
        """Raises :class:`SignatureError` where the result can't be written into ``out``."""
        facts = f"{self.dtype} {list(lead + self.shape)}"
        if not isinstance(out, np.ndarray):
            raise SignatureError(
                f"out for {self.name} is no array", subject=subject, expected=facts, got=type(out).__name__
            )
        if out.dtype != self.dtype or out.shape != lead + self.shape:
            raise SignatureError(
                f"out for {self.name} has the wrong shape or dtype",
                subject=subject,
                expected=facts,
                got=f"{out.dtype} {list(out.shape)}",
                hint=f"np.empty({list(lead + self.shape)}, {self.dtype.name!r})",
            )
        if not out.flags.writeable:
            raise SignatureError(f"out for {self.name} is read-only", subject=subject, expected="a writeable array")


# What arrays of a kind of dtype hold, and what makes one.
_KINDS = {
    "f": ("floating", "np.asarray({name}, float)"),
    "iu": ("whole numbers", "{name}.astype({dtype!r}) cuts off what is behind the point, np.rint({name}) rounds first"),
    "b": ("boolean", "{name} != 0, or np.asarray({name}, bool)"),
}


class Workspaces(threading.local):
    """A workspace for each thread, made at the thread's first call.

    Attributes:
        address: the address of the calling thread's workspace.
        pointer: the same for C functions without argument types.
    """

    def __init__(self, size: int) -> None:
        self._memory = ctypes.create_string_buffer(size + _ALIGNMENT)
        start = ctypes.addressof(self._memory)
        self.address = start + -start % _ALIGNMENT
        self.pointer = ctypes.c_void_p(self.address)


def address_of(array: np.ndarray) -> int:
    """The address of a C-contiguous array's data."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty: five times slower
        return array.__array_interface__["data"][0]


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have a number in common; also true where the answer takes too long to compute."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # any number will do
    except np.exceptions.TooHardError:
        return True
