"""Figures for Python, by Matplotlib without pyplot, so that no global state is touched."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnose.graph.graph_view import view
from ..errors import SignatureError, VersionError
from ..sources.resolve import resolve
from .context import Context
from .jacobians import Jacobians
from .page_parts import count, short
from .picture.drawn_graph import ops_of_view
from .picture.folding import Box, Folded, fold
from .picture.svg import HEIGHT, Scale, box_width, condensed, lay_out, scale_of, shortened
from .report_points import Limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray
_MAP = "RdBu_r"  # colour-blind people can read it, too (C. A. Brewer, colorbrewer2.org)
_POINT = 1 / 72  # the pictures' unit, in inches
_FACES = {"input": "#ffffff", "output": "#ffffff", "forward": "#f1f2f4", "gradient": "#dce9f2"}
_EDGES = {"input": "#1d2126", "output": "#1d2126", "forward": "#59616b", "gradient": "#0b5a87"}
_TICKS = 24


def plot_jacobian(
    fn: Any, *arguments: Any, batched: bool | None = None, points: int = 1, limits: Limits | None = None
) -> Figure:
    """Heat maps of the Jacobian: outputs downwards, inputs across, one scale of colours centred on 0.

    The scale is logarithmic, and linear around 0, where the entries differ by much. A large
    Jacobian is aggregated: each cell shows the entry of the largest magnitude in it.

    Args:
        fn: as for an operator.
        arguments: where: ``[B] + x`` each where it is batched, else one point. Those of :func:`report` if left out.
        batched: as for an operator.
        points: how many of the batch's points are drawn, side by side.
        limits: ``cells`` of a map, and ``entries`` of all Jacobians.

    Returns:
        The ``matplotlib.figure.Figure``; ``figure.savefig("jacobian.png")`` writes it.

    Raises:
        VersionError: Matplotlib is not installed.
        SourceError: ``fn`` is no function or model.
        SignatureError: arguments that it doesn't take, or no such number of points.
        GradientError: the derivative does not exist.

    Example:
        >>> figure = tgk.report.plot_jacobian(lambda x: x**2, np.ones(3))
        >>> figure.axes[0].get_title()
        '∂y/∂x of <lambda>'
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise SignatureError("no such number", subject="points", expected="points to draw, from 1 on", got=repr(points))
    figure_class = matplotlib("figure").Figure
    limits = limits or Limits()
    source = resolve(fn, batched=batched)
    jacobians = Context(fn, source, arguments, {}, None, limits, lambda step: None).jacobians
    drawn = [condensed(matrix, limits.cells) for matrix in jacobians.matrix[:points]]
    scale = scale_of(np.stack(drawn))
    rows, columns = drawn[0].shape
    width, height = np.clip(0.45 * columns + 1.6, 2.6, 8.0), np.clip(0.45 * rows + 1.2, 2.2, 8.0)
    figure = figure_class(figsize=(width * len(drawn) + 1.0, height), layout="constrained")
    axes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for number, (axis, matrix) in enumerate(zip(axes, drawn, strict=True)):
        image = _draw_map(axis, matrix, jacobians, scale)
        axis.set_title(f"point {number + 1}" if len(jacobians.matrix) > 1 else f"∂y/∂x of {source.name}", fontsize=10)
    bar = figure.colorbar(image, ax=list(axes))
    bar.set_ticks(scale.ticks, labels=[short(value) for value in scale.ticks])
    bar.set_label("∂ output / ∂ input")
    if note := _left_out(jacobians, drawn[0]):
        figure.supxlabel(note, fontsize=8)
    return figure


def plot_graph(fn: Any, *specs: Any, batched: bool | None = None, limits: Limits | None = None) -> Figure:
    """The graph of a function from its inputs at the top to its results; folded into boxes where it is large.

    Of a derivative, pass it: ``plot_graph(tgk.jacobian(model))``. Ops of its gradient are blue. Constants, reads of
    variables and ops that hand on what they get are not drawn.

    Args:
        fn: as for an operator.
        specs: what it takes: arrays or ``tf.TensorSpec``; the function's own specs if left out.
        batched: as for an operator.
        limits: ``nodes`` of the picture.

    Returns:
        The ``matplotlib.figure.Figure``; ``figure.savefig("graph.svg")`` writes it.

    Raises:
        VersionError: Matplotlib is not installed.
        SourceError: ``fn`` is no function or model.
        SignatureError: no specs, for a function without its own, or wrong ones.

    Example:
        >>> figure = tgk.report.plot_graph(lambda x: tf.sin(x), tf.TensorSpec([3]))
        >>> len(figure.axes)
        1
    """
    figure_class, patches = matplotlib("figure").Figure, matplotlib("patches")
    ops = ops_of_view(view(fn, *specs, batched=batched))
    folded = fold(ops, (limits or Limits()).nodes)
    layout = lay_out(folded)
    margin, foot = 12.0, 24.0
    width, height = max(layout.width, 200.0) + 2 * margin, layout.height + 2 * margin + foot
    figure = figure_class(figsize=(width * _POINT, height * _POINT))
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set(xlim=(-margin, width - margin), ylim=(height - margin, -margin))
    axis.axis("off")
    for path in layout.paths:
        axis.add_patch(_line(path))
    for box, (x, y) in zip(folded.boxes, layout.places, strict=True):
        _draw_box(axis, patches, box, x, y)
    axis.text(0, layout.height + foot / 2, _caption(ops.total, folded), fontsize=8, color=_EDGES["forward"])
    return figure


def matplotlib(module: str) -> Any:
    """A module of Matplotlib.

    Raises:
        VersionError: Matplotlib is not installed.
    """
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise VersionError("figures need Matplotlib", got=str(error), hint='pip install "tfgradkit[report]"') from error


def _draw_map(axis: Axes, matrix: Array, jacobians: Jacobians, scale: Scale) -> Any:
    colors = matplotlib("colors")
    top = scale.largest or 1.0
    norm = colors.Normalize(-top, top)
    if scale.linear is not None:
        norm = colors.FuncNorm((scale.shades, scale.values), vmin=-top, vmax=top)
    image = axis.imshow(np.ma.masked_invalid(matrix), cmap=_MAP, norm=norm, aspect="auto", interpolation="nearest")
    axis.set_facecolor("#b9bec5")  # numbers that are not finite
    _label(axis.set_xticks, jacobians.columns, matrix.shape[1], rotation=90 if matrix.shape[1] > 6 else 0)
    _label(axis.set_yticks, jacobians.rows, matrix.shape[0])
    axis.tick_params(length=0, labelsize=8)
    if max(matrix.shape) <= 6:
        for (i, j), value in np.ndenumerate(matrix):
            color = "white" if abs(float(scale.shades(np.array(value)))) > 0.55 else "black"
            axis.text(j, i, short(float(value)), ha="center", va="center", fontsize=8, color=color)
    return image


def _label(set_ticks: Any, labels: tuple[str, ...], cells: int, **style: Any) -> None:
    """Labels a few cells each, many cells at even distances, and aggregated cells at the first and the last."""
    if len(labels) != cells:
        set_ticks([0, cells - 1], [labels[0], labels[-1]], **style)
        return
    step = -(-cells // _TICKS)
    set_ticks(range(0, cells, step), labels[::step], **style)


def _left_out(jacobians: Jacobians, drawn: Array) -> str:
    """A note on the entries that the maps leave out or aggregate."""
    rows, columns = drawn.shape
    aggregated = drawn.shape != jacobians.matrix.shape[1:]
    note = f"Aggregated to {rows} × {columns} cells, each the entry of largest magnitude in it." if aggregated else ""
    return " ".join(text for text in (jacobians.limit, note) if text)


def _line(points: tuple[tuple[float, float], ...]) -> Any:
    """An arrow from box to box, vertical at its ends and stops."""
    path, patches = matplotlib("path").Path, matplotlib("patches")
    down = points[-1][1] >= points[0][1]
    half = HEIGHT / 2 if down else -HEIGHT / 2
    stops = [(points[0][0], points[0][1] + half), *points[1:-1], (points[-1][0], points[-1][1] - half)]
    vertices, codes = [stops[0]], [path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(stops):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [path.CURVE4] * 3
    return patches.FancyArrowPatch(
        path=path(vertices, codes), arrowstyle="-|>", mutation_scale=7, lw=0.7, color="#8a929b", zorder=1
    )


def _draw_box(axis: Axes, patches: Any, box: Box, x: float, y: float) -> None:
    width = box_width(box)
    rounding = HEIGHT / 2 if box.phase in ("input", "output") else 4
    axis.add_patch(
        patches.FancyBboxPatch(
            (x - width / 2, y - HEIGHT / 2),
            width,
            HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=_FACES[box.phase],
            edgecolor=_EDGES[box.phase],
            lw=1.5 if box.size > 1 else 0.8,
            zorder=2,
        )
    )
    axis.text(x, y - (6 if box.subtitle else 0), shortened(box.title), ha="center", va="center", fontsize=9, zorder=3)
    if box.subtitle:
        axis.text(x, y + 8, shortened(box.subtitle), ha="center", va="center", fontsize=7, color="#59616b", zorder=3)


def _caption(total: int, folded: Folded) -> str:
    text = f"{count(total, 'op')} in the graph"
    boxes = sum(box.phase in ("forward", "gradient") for box in folded.boxes)
    return text if folded.is_whole else f"{text}, folded into {count(boxes, 'box', 'boxes')}"
