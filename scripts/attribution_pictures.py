#!/usr/bin/env python3
"""Draws docs/images/attribution.png: what each method sees in images of saved_models/shapes.npz.

    python scripts/attribution_pictures.py [--output picture.png]

Needs the ``report`` extra, for matplotlib.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent

import numpy as np

import tfgradkit as tgk
from tfgradkit import attribution

METHODS: dict[str, Callable[[Any], attribution.Method]] = {
    "saliency": attribution.saliency,
    "gradient × input": attribution.gradient_times_input,
    "SmoothGrad": attribution.smooth_grad,
    "integrated gradients": attribution.integrated_gradients,
    "guided backpropagation": attribution.guided_backpropagation,
    "Grad-CAM": attribution.grad_cam,
}
NAMES = ("disc", "square", "triangle")


def main() -> None:
    """Runs every method on one image of each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "attribution.png")
    output = parser.parse_args().output
    model = tgk.load(ROOT / "saved_models" / "shapes.keras")
    shown = np.load(ROOT / "saved_models" / "shapes.npz")
    images, labels = shown["images"][:3], shown["labels"][:3]
    maps = {name: make(model)(images, labels) for name, make in METHODS.items()}
    figure = attribution.plot(images, maps, [NAMES[label] for label in labels])
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
