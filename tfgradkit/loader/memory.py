"""Memory as C sees it: the address of an array, and the workspaces of a library."""

from __future__ import annotations

import ctypes
import threading

import numpy as np

_ALIGNMENT = 64


def address_of(array: np.ndarray) -> int:
    """Where a C-contiguous array's data lies."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty: five times slower
        return array.__array_interface__["data"][0]


class Workspaces(threading.local):
    """A workspace for each thread, made when it first asks.

    Attributes:
        address: that of the calling thread's.
        pointer: the same for C functions without argument types.
    """

    def __init__(self, size: int) -> None:
        self._memory = ctypes.create_string_buffer(size + _ALIGNMENT)
        start = ctypes.addressof(self._memory)
        self.address = start + -start % _ALIGNMENT
        self.pointer = ctypes.c_void_p(self.address)


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have a number in common; true where that takes long to find out."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # any number will do
    except np.exceptions.TooHardError:
        return True
