"""Where numbers stand in a list of distinct numbers."""

from __future__ import annotations

import tensorflow as tf


def positions(among: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """For each number of ``wanted`` its place in the vector ``among``, where it is."""
    order = tf.argsort(among)
    place = tf.searchsorted(tf.gather(among, order), wanted)
    return tf.gather(tf.pad(order, [[0, 1]]), place)


def matches(among: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The places as by :func:`positions`, and whether each is there at all."""
    place = positions(among, wanted)
    # One past the end is a number that nobody wants.
    return place, tf.equal(tf.gather(tf.pad(among, [[0, 1]], constant_values=-1), place), wanted)
