"""A figure of attributions beside their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import SignatureError, VersionError


def plot(images: Any, attributions: Mapping[str, Any], titles: Sequence[str] = ()) -> Any:
    """A ``matplotlib`` figure: a row for each image, a column for each method.

    Values of both signs are drawn blue and red around white, others from white to dark. Channels are summed.

    Args:
        images: ``[B, height, width]``, or with channels.
        attributions: by the name of the method, an :class:`Attribution` or an array for the images each.
        titles: one for each image.

    Returns:
        The ``matplotlib.figure.Figure``; ``figure.savefig("maps.png")`` writes it.

    Raises:
        SignatureError: an attribution that doesn't belong to the images.
        VersionError: matplotlib is not installed.

    Example:
        >>> figure = tgk.attribution.plot(np.ones([2, 8, 8]), {"saliency": np.ones([2, 8, 8])})
        >>> len(figure.axes)
        4
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise VersionError(
            "figures need matplotlib", got="it is not installed", hint='pip install "tfgradkit[report]"'
        ) from error
    pictures = np.asarray(images)
    maps = {name: _map(name, attribution, pictures) for name, attribution in attributions.items()}
    rows, columns = len(pictures), 1 + len(maps)
    figure = Figure(figsize=(1.7 * columns, 1.75 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, picture in zip(axes, pictures, strict=True):
        row[0].imshow(_image(picture), cmap="gray")
    for number, (name, values) in enumerate(maps.items(), start=1):
        axes[0, number].set_title(name, fontsize=9)
        for row, value in zip(axes, values, strict=True):
            _draw(row[number], value)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[:, 0], titles, strict=False):
        axis.set_ylabel(title, fontsize=9)
    return figure


def _map(name: str, attribution: Any, pictures: np.ndarray) -> np.ndarray:
    values = np.asarray(attribution)
    if values.shape[:3] != pictures.shape[:3]:
        raise SignatureError(
            "the attribution does not belong to the images", subject=name, expected=pictures.shape, got=values.shape
        )
    return values.sum(-1) if values.ndim == 4 else values


def _image(picture: np.ndarray) -> np.ndarray:
    picture = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low or 1)


def _draw(axis: Any, values: np.ndarray) -> None:
    top = np.abs(values).max() or 1
    signed = values.min() < 0
    axis.imshow(values, cmap="RdBu_r" if signed else "Purples", vmin=-top if signed else 0, vmax=top)
