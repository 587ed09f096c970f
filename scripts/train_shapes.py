#!/usr/bin/env python3
"""Trains saved_models/shapes.keras: which shape is in a small grey image, a disc, a square or a triangle.

    python scripts/train_shapes.py

The images, 32 × 32, are drawn here: one shape of random place, size, angle and brightness over a sloping,
noisy ground with a few stray lines. Writes the model, twelve images that it was not trained on
(saved_models/shapes.npz) and its errors into saved_models/README.md. Deterministic; takes a minute.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "saved_models"
SIZE = 32
NAMES = ("disc", "square", "triangle")
LIMIT = 0.97  # share of images that have to be right


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images ``[count, 32, 32, 1]`` from 0 to 1, labels ``[count]``, and where the shape is, ``[count, 32, 32]``."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(NAMES)
    masks = np.stack([_shape(label, generator) for label in labels.tolist()])
    images = np.stack([_ground(generator) for _ in labels])
    brightness = generator.uniform(0.35, 0.6, (count, 1, 1))
    images += brightness * masks + generator.normal(0, 0.06, images.shape)
    return np.clip(images, 0, 1).astype(np.float32)[..., None], labels, masks > 0.5


def _shape(label: int, generator: np.random.Generator) -> np.ndarray:
    """How much of each pixel is covered: a signed distance, softened over one pixel."""
    radius = generator.uniform(5, 9)
    middle = generator.uniform(radius, SIZE - 1 - radius, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE] - middle[:, None, None]
    sides = {"disc": 0, "square": 4, "triangle": 3}[NAMES[label]]
    if not sides:
        distance = np.hypot(rows, columns) - 0.85 * radius
    else:
        angles = generator.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(sides) / sides
        inner = radius * np.cos(np.pi / sides)
        distance = np.max([rows * np.sin(a) + columns * np.cos(a) - inner for a in angles], axis=0)
    return np.clip(0.5 - distance, 0, 1)


def _ground(generator: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    slope = generator.uniform(-0.2, 0.2, 2)
    ground = 0.25 + slope[0] * rows + slope[1] * columns
    for _ in range(3):
        angle, place = generator.uniform(0, np.pi), generator.uniform(-0.5, 0.5)
        line = np.abs(rows * np.sin(angle) + columns * np.cos(angle) - place) < 0.6 / SIZE
        ground += 0.25 * line
    return ground


def network() -> keras.Model:
    """Three convolutions, their mean over the image, and a score for each shape."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1), name="image"),
            layers.Conv2D(12, 3, padding="same", activation="relu", name="edges"),
            layers.MaxPooling2D(name="half"),
            layers.Conv2D(24, 3, padding="same", activation="relu", name="corners"),
            layers.MaxPooling2D(name="quarter"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="shapes"),
            layers.GlobalMaxPooling2D(name="anywhere"),
            layers.Dense(len(NAMES), name="scores"),
        ],
        name="shapes",
    )


def main() -> None:
    """Trains, measures, and writes where it is good enough."""
    keras.utils.set_random_seed(3)
    images, labels, _ = draw(9000, 0)
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(4e-3, 20 * len(images) // 64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(images, labels, batch_size=64, epochs=20, verbose=2)
    unseen, wanted, _ = draw(3000, 1)
    found = model.predict(unseen, verbose=0).argmax(1)
    right = float(np.mean(found == wanted))
    if right < LIMIT:
        raise SystemExit(f"only {right:.1%} of the images are recognised, not {LIMIT:.0%}")
    model.compile()  # the optimiser's state is not needed any more
    model.save(FOLDER / "shapes.keras")
    samples, sample_labels, sample_masks = draw(12, 2)
    np.savez_compressed(FOLDER / "shapes.npz", images=samples, labels=sample_labels, masks=sample_masks)
    _write_errors(found, wanted, right)


def _write_errors(found: np.ndarray, wanted: np.ndarray, right: float) -> None:
    lines = [f"Of {len(wanted)} images that were not trained on, {right:.1%} are recognised:", ""]
    lines += ["| shown | recognised as " + " | ".join(NAMES) + " |", "|---" * (1 + len(NAMES)) + "|"]
    for number, name in enumerate(NAMES):
        counts = [int(np.sum(found[wanted == number] == other)) for other in range(len(NAMES))]
        lines.append(f"| {name} | " + " | ".join(map(str, counts)) + " |")
    path = FOLDER / "README.md"
    text = re.sub(
        r"(<!-- shapes -->\n).*?(<!-- /shapes -->)",
        lambda match: match.group(1) + "\n".join(lines) + "\n" + match.group(2),
        path.read_text(),
        flags=re.DOTALL,
    )
    path.write_text(text)


if __name__ == "__main__":
    main()
