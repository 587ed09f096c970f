"""Grad-CAM: the places of an image that a class comes from, by the features of a convolution."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..errors import SignatureError
from ..sources.layer_results import PREFIX, find_layer, intermediate, substituted
from ..sources.resolve import flat_layers
from .method import Method, Scores, flatten_result, pick_elements


def grad_cam(fn: Any, *, layer: str | None = None, resize: bool = True) -> Method:
    """ReLU of the features of a layer, weighted by their mean gradients: ``[B] + image``, without channels.

    Args:
        fn: a Keras model of one image (sequence, volume).
        layer: the name of the layer with the features; None: the last convolution.
        resize: whether the map is interpolated linearly to the size of the image.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, whose ``.values`` have no axis for channels.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no such layer, or no convolution in the model.

    References:
        R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
        ICCV 2017, arXiv 1610.02391.

    Example:
        >>> model = keras.Sequential(
        ...     [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()]
        ... )
        >>> tgk.attribution.grad_cam(model)(np.ones([4, 8, 8, 1])).values.shape
        TensorShape([4, 8, 8])
    """
    scores = Scores(fn)
    convolution = find_layer(scores.source, PREFIX + (layer or _last_convolution(scores)))
    channels_first = getattr(convolution, "data_format", None) == "channels_first"

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        features = intermediate(scores.source, convolution, (x,))
        _check_features(features, x, convolution.name, scores)
        with tf.GradientTape() as tape:
            tape.watch(features)
            y = substituted(scores.source, convolution, (x,), features)
            score = pick_elements(flatten_result(y, scores.source), target)
        gradients = tape.gradient(score, features, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        channel = 1 if channels_first else features.shape.rank - 1
        space = [axis for axis in range(1, features.shape.rank) if axis != channel]
        weights = tf.reduce_mean(gradients, space, keepdims=True)
        heat_map = tf.nn.relu(tf.reduce_sum(weights * features, channel))
        sizes = [n for axis, n in enumerate(tf.unstack(tf.shape(x))) if axis not in (0, channel)]
        return _resized(heat_map, sizes) if resize else heat_map, None

    return Method("grad_cam", scores, rule)


def _last_convolution(scores: Scores) -> str:
    layers = flat_layers(scores.source.model) if scores.source.model is not None else []
    names = [layer.name for layer in layers if "Conv" in type(layer).__name__]
    if not names:
        raise SignatureError(
            "the model has no convolution",
            subject=scores.source.name,
            expected="a Keras model with one, or layer=",
            got=", ".join(layer.name for layer in layers) or "no Keras model",
        )
    return names[-1]


def _check_features(features: Any, x: Any, name: str, scores: Scores) -> None:
    ranks = [getattr(tensor, "shape", tf.TensorShape(None)).rank for tensor in (features, x)]
    if not tf.is_tensor(features) or not tf.is_tensor(x) or ranks[0] != ranks[1] or ranks[0] < 3:
        raise SignatureError(
            "the layer's result is no map of the image",
            subject=f"{scores.source.name}, layer {name}",
            expected="features [B, ..., channels] of an input of as many axes",
            got=str(getattr(features, "shape", type(features).__name__)),
        )


def _resized(heat_map: tf.Tensor, sizes: list[tf.Tensor]) -> tf.Tensor:
    """The heat map in other sizes, by linear interpolation along one axis after another."""
    for axis, size in enumerate(sizes, start=1):
        shape = tf.shape(heat_map)
        flat_shape = [tf.reduce_prod(shape[:axis]), shape[axis], tf.reduce_prod(shape[axis + 1 :]), 1]
        longer = tf.image.resize(tf.reshape(heat_map, flat_shape), [size, flat_shape[2]])
        heat_map = tf.cast(tf.reshape(longer, tf.concat([shape[:axis], [size], shape[axis + 1 :]], 0)), heat_map.dtype)
    return heat_map
