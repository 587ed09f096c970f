#!/usr/bin/env python3
"""Guided backpropagation of the shipped image model: what in an image speaks for a class.

    python examples/guided_backpropagation.py [MODEL.keras [IMAGES.npz]]

J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for simplicity: the all convolutional net", 2015:
every relu passes on only what is positive, forward and backward. The model's weights and its own gradient stay as
they are; the other gradient has them in common.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tensorflow as tf

import tfgradkit as tgk

MODELS = Path(__file__).resolve().parent.parent / "saved_models"


def guided(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """The rule: in place of ``upstream`` where the output is positive."""
    return tf.where((op.outputs[0] > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))


def pictures(model: Any, images: np.ndarray, target: int) -> dict[str, np.ndarray]:
    """The plain and the guided gradient of a class' score by the images, each shaped like them."""
    score = np.zeros((len(images), model.output_shape[-1]), "float32")
    score[:, target] = 1
    kinds = {"plain": model, "guided": tgk.override_gradient(model, {"Relu": guided})}
    return {name: tgk.vjp(kind)(images, output_gradients=score).numpy() for name, kind in kinds.items()}


def speckle(picture: np.ndarray) -> float:
    """How much neighbours differ, against how much there is: noise has more of it."""
    differences = [np.diff(picture, axis=axis).ravel() for axis in (1, 2)]
    return float(np.mean(np.abs(np.concatenate(differences))) / np.mean(np.abs(picture)))


def main() -> None:
    """Prints a number for each picture, and the guided gradient of the first image."""
    shipped = [MODELS / "shapes.keras", MODELS / "shapes.npz"]
    path, points = [*sys.argv[1:], *shipped[len(sys.argv) - 1 :]]
    model, images = tgk.load(path), np.load(points)["images"]
    found = pictures(model, images, target=0)
    for name, picture in found.items():
        print(f"{name:7s} zero at {np.mean(picture == 0):4.0%}, difference of neighbours {speckle(picture):.2f}")
    strength = np.abs(found["guided"][0]).max(-1)
    for row in strength[::2] / strength.max():
        print("".join(" .:-=+*#%@"[int(9 * value)] for value in row))


if __name__ == "__main__":
    main()
