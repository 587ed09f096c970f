"""The model of a report and its points, with the results that several sections need, each computed once."""

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
from .report_points import Limits, Points, Ranges, sample_points

Progress = Callable[[str], None]


class Context:
    """A model to report on.

    Attributes:
        fn: the user's model or function.
        resolved: the same as a :class:`Differentiable`.
        limits: of the report.
        step: called with the name of each step.
    """

    def __init__(
        self,
        fn: Any,
        resolved: Differentiable,
        arguments: Sequence[Any],
        ranges: Mapping[str, Any],
        library: Path | None,
        limits: Limits,
        step: Progress,
    ) -> None:
        self.fn, self.resolved, self.limits, self.step = fn, resolved, limits, step
        self.library_path = library
        self._arguments, self._ranges = arguments, dict(ranges)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of ``tf.nest``: "x" for a model's only input."""
        if self.resolved.input_names:
            return self.resolved.input_names
        nests = list(self.resolved.input_specs or self._arguments)
        return tuple(leaf_names(nests, self.resolved.argument_names or ("x",)))

    @cached_property
    def points(self) -> Points:
        """The sample points."""
        ranges = Ranges(self._ranges) if self._ranges else Ranges(self._library_ranges(), "the library's range")
        return sample_points(self.resolved, self._arguments, ranges, self.input_names, self.limits)

    @cached_property
    def source(self) -> Differentiable:
        """The function, with the sizes of the points where its own specs have unknown sizes."""
        if self.resolved.input_specs is None:
            return self.resolved
        return replace(self.resolved, input_specs=tuple(self.specs))

    @cached_property
    def view(self) -> GraphView:
        """The model's own graph, for any number of points."""
        return view(self.source, *self.specs)

    @cached_property
    def specs(self) -> list[Any]:
        """Specs of the arguments, for any number of points."""
        batch = [None] if self.points.batched else []
        return tf.nest.map_structure(
            lambda leaf: tf.TensorSpec([*batch, *leaf.shape[1:]], leaf.dtype), self.points.arguments
        )

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of ``tf.nest``: "y" for a model's only output."""
        return self.source.output_names or self.view.output_names

    @cached_property
    def jacobians(self) -> Jacobians:
        """The Jacobians at the points.

        Raises:
            SignatureError, GradientError: the function has none.
        """
        return jacobians(self.source, self.points, self.input_names, self.output_names, self.limits)

    @cached_property
    def library(self) -> NativeLibrary | None:
        """The compiled library to compare with, if any.

        Raises:
            LibraryError: it can't be loaded.
        """
        return None if self.library_path is None else load_native(self.library_path)

    def _library_ranges(self) -> dict[str, Any]:
        """The library's ranges by the model's names: the inputs have the same order."""
        try:
            library = self.library
        except TfGradKitError:  # the section that compares with the library shows this error
            return {}
        if library is None:
            return {}
        ranges = library.metadata.get("ranges") or {}
        names = dict(zip(library.input_names, self.input_names, strict=False))
        return {names[name]: bounds for name, bounds in ranges.items() if name in names}
