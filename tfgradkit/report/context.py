"""What the sections of a report share: the model, the points, and what is computed of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..diagnose.graph.graph_view import GraphView, leaf_names, view
from ..differentiable import Differentiable
from ..errors import TfGradKitError
from ..native import NativeLibrary, load_native
from .jacobians import Jacobians, jacobians
from .report_points import Limits, Points, Ranges, points_of

Progress = Callable[[str], None]


class Context:
    """A model to report on.

    Attributes:
        fn: as it was given.
        resolved: the same as a function.
        limits: of the report.
        step: told what is being done.
    """

    def __init__(
        self,
        fn: Any,
        resolved: Differentiable,
        given: Sequence[Any],
        ranges: Mapping[str, Any],
        library: Path | None,
        limits: Limits,
        step: Progress,
    ) -> None:
        self.fn, self.resolved, self.limits, self.step = fn, resolved, limits, step
        self.library_path = library
        self._given, self._ranges = given, dict(ranges)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Of the inputs, in the order of ``tf.nest``: "x" for a model's only one."""
        if self.resolved.input_names:
            return self.resolved.input_names
        nests = list(self.resolved.input_specs or self._given)
        return tuple(leaf_names(nests, self.resolved.argument_names or ("x",)))

    @cached_property
    def points(self) -> Points:
        """Where the model is looked at."""
        ranges = Ranges(self._ranges) if self._ranges else Ranges(self._library_ranges(), "the library's range")
        return points_of(self.resolved, self._given, ranges, self.input_names, self.limits)

    @cached_property
    def source(self) -> Differentiable:
        """The function, with the sizes of the points where it leaves any open."""
        if self.resolved.input_specs is None:
            return self.resolved
        return replace(self.resolved, input_specs=tuple(self.specs))

    @cached_property
    def view(self) -> GraphView:
        """The model's own graph, for any number of points."""
        return view(self.source, *self.specs)

    @cached_property
    def specs(self) -> list[Any]:
        """Of the arguments, for any number of points."""
        batch = [None] if self.points.batched else []
        return tf.nest.map_structure(
            lambda leaf: tf.TensorSpec([*batch, *leaf.shape[1:]], leaf.dtype), self.points.arguments
        )

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Of the outputs, in the order of ``tf.nest``: "y" for a model's only one."""
        return self.source.output_names or self.view.output_names

    @cached_property
    def jacobians(self) -> Jacobians:
        """At the points.

        Raises:
            SignatureError, GradientError: there are none.
        """
        return jacobians(self.source, self.points, self.input_names, self.output_names, self.limits)

    @cached_property
    def library(self) -> NativeLibrary | None:
        """The compiled library that was given.

        Raises:
            LibraryError: it can't be loaded.
        """
        return None if self.library_path is None else load_native(self.library_path)

    def _library_ranges(self) -> dict[str, Any]:
        """The library's, whose inputs are the model's in the same order."""
        try:
            library = self.library
        except TfGradKitError:  # told by the section that compares with it
            return {}
        if library is None:
            return {}
        ranges = library.metadata.get("ranges") or {}
        names = dict(zip(library.input_names, self.input_names, strict=False))
        return {names[name]: bounds for name, bounds in ranges.items() if name in names}
