"""Where functions are bound: every name of a loaded module that stands for one of them.

TensorFlow has its API in several modules at once: ``import tensorflow.experimental.numpy as tnp`` and
``tf.experimental.numpy`` are two. Users write ``from tensorflow.nn import moments``, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

# A module's namespace, a name in it, and what stands there.
Binding = tuple[dict[str, Any], str, Any]
_OWN = __package__.partition(".")[0]


class BoundNames:
    """The names of some functions, but for those of this package.

    Args:
        functions: what is looked for, by identity.

    Attributes:
        found: the names. What stands there may be another thing since.
        key: what :meth:`look` was called with at last: it changes where there may be more.
    """

    def __init__(self, functions: Iterable[Any]) -> None:
        self._functions = {id(function): function for function in functions}
        self._seen: dict[str, Any] = {}
        self._elsewhere: list[Binding] = []
        self.found: list[Binding] = []
        self.key: Any = None

    def look(self, key: Any) -> None:
        """Looks at what has changed since: modules that are new, and the main one."""
        for name, module in list(sys.modules.items()):
            if self._seen.get(name) is not module:
                self._seen[name] = module
                self._elsewhere += [] if name == "__main__" or name.partition(".")[0] == _OWN else self._names(module)
        self.found = [*self._elsewhere, *self._names(sys.modules.get("__main__"))]
        self.key = key

    def _names(self, module: Any) -> Iterator[Binding]:
        namespace = getattr(module, "__dict__", None)
        if not isinstance(namespace, dict):
            return
        for name, value in list(namespace.items()):
            if id(value) in self._functions and self._functions[id(value)] is value:
                yield namespace, name, value
