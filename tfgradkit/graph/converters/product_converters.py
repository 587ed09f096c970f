"""Products, convolutions and biases, for all turns of a vectorized loop at once."""

from __future__ import annotations

import string
from typing import Any

import tensorflow as tf

from ...arguments import dims
from ..emit import emit
from ..pfor import is_stacked, one_by_one, refused, stacked, theirs, vectorized, wrapped
from .array_converters import folded, turns_of


@vectorized("BatchMatMul")
def _batch_products(given: Any) -> Any:
    """TensorFlow takes an axis of a plain matrix for one that counts."""
    return wrapped(emit(given.op, [stacked(given, 0), stacked(given, 1)]))


@vectorized("Einsum")
def _einsum(given: Any) -> Any:
    """The gradient of a diagonal has a label twice in its result, which ``tf.einsum`` refuses, and the op doesn't."""
    terms, result = given.get_attr("equation").decode().split("->")
    if len(set(result.replace("...", ""))) == len(result.replace("...", "")):
        return theirs(given)
    turn = next((letter for letter in string.ascii_letters if letter not in terms + result), None)
    if turn is None:
        raise refused("no letter is left for the turns")
    fronts = [turn if is_stacked(given, i) else "" for i in range(len(given.inputs))]
    terms = ",".join(front + term for front, term in zip(fronts, terms.split(","), strict=True))
    tensors = [given.input(i).t for i in range(len(given.inputs))]
    return wrapped(emit(given.op, tensors, equation=f"{terms}->{turn}{result}"))


@vectorized("BatchMatMulV2")
def _broadcast_products(given: Any) -> Any:
    """A matrix that is the same for all turns multiplies turns and batch as one axis.

    TensorFlow broadcasts it to [turns, batch]; where the batch is 1, oneDNN's product in float32 then writes beyond its
    memory (TensorFlow 2.21): the process ends, or numbers elsewhere change.
    """
    for own, other in ((0, 1), (1, 0)):
        if is_stacked(given, own) and not is_stacked(given, other) and _is_plain_matrix(given, other, own):
            batches = dims(stacked(given, own))[:-2]
            matrix = given.unstacked_input(other)
            inputs = [tf.reshape(matrix, dims(matrix)[-2:])] * 2
            inputs[own] = stacked(given, own)
            for _ in batches[1:]:
                inputs[own] = folded(inputs[own])
            (product,) = emit(given.op, inputs)
            return wrapped([tf.reshape(product, [*batches, *dims(product)[-2:]])])
    for own, other in ((0, 1), (1, 0)):
        if is_stacked(given, own) and not is_stacked(given, other) and _may_be_of_one(given):
            return wrapped([_with_turns_in_the_matrix(given, own)])
    return theirs(given)


def _may_be_of_one(given: Any) -> bool:
    """Whether the matrices may be one alone, which only a run tells."""
    shapes = [x.shape for x in given.op.inputs]
    return all(shape.rank is not None and shape.rank == shapes[0].rank > 2 for shape in shapes) and not all(
        n is not None and n > 1 for shape in shapes for n in shape[:-2]
    )


def _with_turns_in_the_matrix(given: Any, own: int) -> tf.Tensor:
    """[turns, *batch, m, n], of products of higher or wider matrices, one for all turns."""
    x = stacked(given, own)
    rank, across = x.shape.rank, given.get_attr("adj_y" if own else "adj_x")
    free = rank - 2 if across == bool(own) else rank - 1
    order = [*range(1, free), 0, *range(free, rank)]
    wide = tf.transpose(x, order)
    sizes = dims(wide)
    inputs = [given.input(i).t for i in range(2)]
    inputs[own] = tf.reshape(wide, [*sizes[: free - 1], sizes[free - 1] * sizes[free], *sizes[free + 1 :]])
    (product,) = emit(given.op, inputs)
    place = rank - 2 if own else rank - 3
    found = dims(product)
    apart = tf.reshape(product, [*found[:place], sizes[free - 1], sizes[free], *found[place + 1 :]])
    return tf.transpose(apart, [place, *(axis for axis in range(rank) if axis != place)])


def _is_plain_matrix(given: Any, place: int, by: int) -> bool:
    """Whether an input is one matrix for the whole batch of another."""
    shape, rank = given.op.inputs[place].shape, given.op.inputs[by].shape.rank
    return shape.rank is not None and rank is not None and shape.rank <= rank and all(n == 1 for n in shape[:-2])


@vectorized("BiasAdd")
def _bias(given: Any) -> Any:
    """TensorFlow knows where the channels are of pictures alone."""
    rank = given.op.inputs[0].shape.rank
    if given.get_attr("data_format") == b"NCHW" and rank is None:
        raise refused("channels first of an unknown number of axes")
    if not is_stacked(given, 1):
        return theirs(given)
    value, bias = given.input(0).t, given.stacked_input(1)
    value = value if is_stacked(given, 0) else value[None]
    first = given.get_attr("data_format") == b"NCHW"
    turns, channels = dims(bias)
    rank = rank or 2
    ones = [1] * (rank - 2)
    shape = [turns, 1, channels, *ones] if first else [turns, *ones, 1, channels]
    return wrapped([value + tf.reshape(bias, shape)])


@vectorized("BiasAddGrad")
def _bias_gradient(given: Any) -> Any:
    gradient = given.stacked_input(0)
    rank = given.op.inputs[0].shape.rank
    if rank is None:
        if given.get_attr("data_format") == b"NCHW":
            raise refused("channels first of an unknown number of axes")
        return theirs(given)
    channel = 2 if given.get_attr("data_format") == b"NCHW" else rank
    return wrapped([tf.reduce_sum(gradient, [axis for axis in range(1, rank + 1) if axis != channel])])


@vectorized("SoftmaxCrossEntropyWithLogits")
def _cross_entropy(given: Any) -> Any:
    """Labels and logits are broadcast to each other before turns and samples become one axis."""
    shapes = [tf.shape(tensor.t)[int(tensor.is_stacked) :] for tensor in given.inputs]
    shape = tf.concat([turns_of(given), tf.broadcast_dynamic_shape(*shapes)], 0)
    found = emit(given.op, [folded(tf.broadcast_to(stacked(given, i), shape)) for i in (0, 1)])
    return wrapped([tf.reshape(y, tf.concat([shape[:2], tf.shape(y)[1:]], 0)) for y in found])


def _channel_axis(given: Any) -> int:
    return 1 if given.get_attr("data_format") == b"NCHW" else 3


def _one_batch(given: Any, *batched: int, sizes: int | None = None) -> Any:
    """Turns and samples as one batch; the other inputs are the same for all turns, and ``sizes`` names the batch's."""
    turns = turns_of(given)
    inputs = [folded(stacked(given, i)) if i in batched else given.unstacked_input(i) for i in range(len(given.inputs))]
    if sizes is not None:
        inputs[sizes] = tf.concat([inputs[sizes][:1] * turns, inputs[sizes][1:]], 0)
    return wrapped([tf.reshape(y, [turns[0], -1, *dims(y)[1:]]) for y in emit(given.op, inputs)])


@vectorized("Conv2DBackpropInput")
def _convolution_transposed(given: Any) -> Any:
    """TensorFlow's forgets that the sizes may be those of the picture alone."""
    count = given.unstacked_input(0).shape.num_elements()
    if count is None:
        raise refused("sizes of which nobody knows whether the batch is among them")
    return _one_batch(given, 2, sizes=0 if count == 4 else None)


@vectorized("Conv2DBackpropFilter")
def _kernel_gradient(given: Any) -> Any:
    """TensorFlow's loses explicit paddings and mixes the groups of a grouped convolution.

    The turns become more channels of the results, within each group.
    """
    if is_stacked(given, 0) or is_stacked(given, 1):
        return one_by_one(given)
    pictures, sizes, gradient = given.unstacked_input(0), given.unstacked_input(1), given.stacked_input(2)
    known, axis = tf.get_static_value(sizes), _channel_axis(given)
    if known is None or pictures.shape[axis] is None:
        raise refused("a kernel of unknown sizes")
    *window, inputs, outputs = map(int, known)
    groups, turns = pictures.shape[axis] // inputs, turns_of(given)[0]
    wide = [*window, inputs, turns * outputs]
    (found,) = emit(given.op, [pictures, tf.stack(wide), _with_turns_as_channels(gradient, axis + 1, groups)])
    apart = tf.reshape(found, [*window, inputs, groups, turns, outputs // groups])
    return wrapped([tf.reshape(tf.transpose(apart, [4, 0, 1, 2, 3, 5]), [turns, *window, inputs, outputs])])


def _with_turns_as_channels(tensor: tf.Tensor, axis: int, groups: int) -> tf.Tensor:
    """``[turns, …, channels, …]`` as ``[…, turns * channels, …]``, the turns within each group of channels."""
    turns, *sizes = dims(tensor)
    before, channels, after = sizes[: axis - 1], sizes[axis - 1], sizes[axis:]
    apart = tf.reshape(tensor, [turns, *before, groups, channels // groups, *after])
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(sizes) + 2)]
    return tf.reshape(tf.transpose(apart, order), [*before, turns * channels, *after])


@vectorized("DepthwiseConv2dNative")
def _depthwise(given: Any) -> Any:
    """TensorFlow's wants a picture and a kernel for each turn."""
    if not is_stacked(given, 1):
        return _one_batch(given, 0)
    stacked(given, 0)
    return theirs(given)


@vectorized("DepthwiseConv2dNativeBackpropInput")
def _depthwise_transposed(given: Any) -> Any:
    if not is_stacked(given, 1):
        return _one_batch(given, 2, sizes=0)
    stacked(given, 2)
    return theirs(given)


@vectorized("DepthwiseConv2dNativeBackpropFilter")
def _depthwise_kernel_gradient(given: Any) -> Any:
    stacked(given, 0)
    stacked(given, 2)
    return theirs(given)


@vectorized("FusedBatchNormV3")
def _normalization(given: Any) -> Any:
    """TensorFlow's knows pictures of two axes alone."""
    if not given.get_attr("is_training"):
        return theirs(given)
    return _channel_by_channel(given, 1)


@vectorized("FusedBatchNormGradV3")
def _normalization_gradient(given: Any) -> Any:
    return _channel_by_channel(given, 2)


def _channel_by_channel(given: Any, pictures: int) -> Any:
    """The turns become more channels; the first ``pictures`` inputs have axes beside the channels, and one result."""
    turns, axis = turns_of(given)[0], 2 if given.get_attr("data_format")[1:2] == b"C" else given.op.inputs[0].shape.rank
    if axis is None:
        raise refused("pictures of an unknown number of axes")
    wide = [_with_turns_as_channels(stacked(given, i), axis, 1) for i in range(pictures)]
    rows = [tf.reshape(stacked(given, i), [-1]) for i in range(pictures, len(given.inputs))]
    y, *more = emit(given.op, [*wide, *rows])
    return wrapped([_with_turns_in_front(y, axis, turns), *(tf.reshape(row, [turns, -1]) for row in more)])


def _with_turns_in_front(tensor: tf.Tensor, axis: int, turns: Any) -> tf.Tensor:
    """``[…, turns * channels, …]`` as ``[turns, …, channels, …]``."""
    sizes = dims(tensor)
    apart = tf.reshape(tensor, [*sizes[: axis - 1], turns, -1, *sizes[axis:]])
    order = [axis - 1, *range(axis - 1), *range(axis, len(sizes) + 1)]
    return tf.transpose(apart, order)
