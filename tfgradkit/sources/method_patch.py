"""Another function in place of a method of an object, for one thread and one block.

Other threads may call the same object meanwhile, and still call the method itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

# Called as replacement(method, *arguments, **keywords).
Replacement = Callable[..., Any]
_lock = threading.Lock()


class _StandIn:
    """The attribute in place of a method: calls the replacement of the calling thread, else the method."""

    def __init__(self, owner: Any, name: str) -> None:
        self.method = getattr(owner, name)
        self.owned = name in vars(owner)
        self.blocks = 0
        self._local = threading.local()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._run(tuple(self.replacements), *arguments, **keywords)

    @property
    def replacements(self) -> list[Replacement]:
        """The replacements of this thread, the innermost block's last."""
        if not hasattr(self._local, "replacements"):
            self._local.replacements = []
        own: list[Replacement] = self._local.replacements
        return own

    def _run(self, replacements: tuple[Replacement, ...], *arguments: Any, **keywords: Any) -> Any:
        if not replacements:
            return self.method(*arguments, **keywords)
        *outer, innermost = replacements
        return innermost(partial(self._run, tuple(outer)), *arguments, **keywords)


@contextmanager
def replaced(owner: Any, name: str, replacement: Replacement) -> Iterator[None]:
    """Within the block, ``owner.name(...)`` of this thread is ``replacement(method, ...)``."""
    stand_in = _installed(owner, name)
    stand_in.replacements.append(replacement)
    try:
        yield
    finally:
        stand_in.replacements.pop()
        _released(owner, name, stand_in)


def _installed(owner: Any, name: str) -> _StandIn:
    with _lock:
        stand_in = vars(owner).get(name)
        if not isinstance(stand_in, _StandIn):
            stand_in = _StandIn(owner, name)
            # Not through Keras' own __setattr__, which tracks the values of attributes.
            object.__setattr__(owner, name, stand_in)
        stand_in.blocks += 1
        return stand_in


def _released(owner: Any, name: str, stand_in: _StandIn) -> None:
    with _lock:
        stand_in.blocks -= 1
        if stand_in.blocks:
            return
        if stand_in.owned:
            object.__setattr__(owner, name, stand_in.method)
        else:
            object.__delattr__(owner, name)
