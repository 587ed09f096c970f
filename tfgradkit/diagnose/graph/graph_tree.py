"""``graph_tree``: what a function is made of, from its results to its inputs, as indented text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from ...derivatives.failures.foreign_errors import translating
from .call_paths import CalledSection, CallPlace, everything_below, place_of, result_of
from .graph_view import GraphView, view

_INDENT = "    "
# A part of no more ops than this is shown again in full.
_SMALL = 3


@translating
def graph_tree(
    fn: Any, *specs: Any, depth: int = 40, size: int = 300, batched: bool | None = None, training: bool = False
) -> str:
    """The graph of a function, or of a derivative, as it is traced: "name : OpType", four spaces a level.

    Below each op stands what makes its inputs, in their order. Functions that are called are shown as if they were
    written out; those of loops and branches below a line "name : function". Variables are there, with their
    names; nothing is frozen or simplified. A part that was shown already, and what is beyond ``depth`` or ``size``,
    is folded: "… 37 more ops".

    Args:
        fn: what every operator takes, a ``Derivative``, or a TensorFlow 1 graph from :func:`tfgradkit.load`,
            whose ops have the names of the file.
        specs: a ``tf.TensorSpec``, or a value, for each argument; none for those of the function itself. A seed
            (``output_gradients``, ``tangents``) comes last.
        depth: levels shown.
        size: lines shown.
        batched: whether the first axis counts samples; None for the rule of each kind of function.
        training: what Keras layers are told.

    Returns:
        The text, a line for each op.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no specs, for a function without its own, or wrong ones.

    Example:
        >>> print(tgk.graph_tree(lambda x: tf.sin(x), tf.TensorSpec([2])))
        Sin : Sin
            x : Placeholder
    """
    return "\n".join(tree_lines(view(fn, *specs, batched=batched, training=training), depth, size))


def tree_lines(seen: GraphView, depth: int, size: int) -> list[str]:
    """The lines of a tree, for each result one after another."""
    printer = _Printer(seen, depth)
    results = [place_of(result_of(seen.graph, i), None) for i in range(len(seen.outputs))]
    # A parent's line comes before its children's. A stack, not recursion, as graphs are deep.
    waiting: list[tuple[CallPlace | CalledSection, int]] = [(place, 0) for place in reversed(results)]
    while waiting and len(printer.lines) < size:
        item, level = waiting.pop()
        waiting += [(below, level + 1) for below in reversed(printer.add_line(item, level))]
    if waiting:
        printer.add_rest([item for item, _ in waiting])
    return printer.lines


class _Printer:
    def __init__(self, seen: GraphView, depth: int) -> None:
        self.lines: list[str] = []
        self._variables = seen.variables
        self._depth = depth
        self._shown: set[CallPlace | CalledSection] = set()

    def add_line(self, item: CallPlace | CalledSection, level: int) -> Sequence[CallPlace | CalledSection]:
        """Adds the line of an item, and returns the items to be shown below it."""
        text, *more = self._texts(item)
        below = item.below()
        again = item in self._shown
        folded = _count(below) if below and (level + 1 >= self._depth or (again and not _is_small(item))) else 0
        self._shown.add(item)
        suffix = f"  … {folded:,} more op{'s' * (folded != 1)}{', as above' * again}" if folded else ""
        self.lines.append(f"{_INDENT * level}{text}{suffix}")
        self.lines += [f"{_INDENT * (level + i)}{other}" for i, other in enumerate(more, 1)]
        return [] if folded else below

    def add_rest(self, waiting: Sequence[CallPlace | CalledSection]) -> None:
        """Adds the last line, which counts the ops that were not shown at all."""
        left = sum(len(place.types) for place in everything_below(*waiting) if place not in self._shown)
        self.lines.append(f"… {left:,} more op{'s' * (left != 1)}")

    def _texts(self, item: CallPlace | CalledSection) -> list[str]:
        """The text of an item: one line, or several where an op stands for ops of a file."""
        if isinstance(item, CalledSection):
            return [item.title]
        if item.marks:
            return item.marks
        operation = item.operation
        variable = self._variables.get(operation.name) if item.frame is None else None
        text = f"{operation.name} : {operation.type}"
        return [f"{text}, variable {variable.name.partition(':')[0]}" if variable is not None else text]


def _count(below: Sequence[CallPlace | CalledSection]) -> int:
    return sum(len(place.types) for place in everything_below(*below))


def _is_small(item: CallPlace | CalledSection) -> bool:
    return len(list(islice(everything_below(item), _SMALL + 1))) <= _SMALL
