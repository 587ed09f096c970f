"""The examples of docs/custom_gradients.md about transforms, at a small size."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys

import numpy as np
import tensorflow as tf

FAN_IN = """
import json, runpy, sys
print(json.dumps(runpy.run_path(sys.argv[1])["run"](branches=12, samples=2048, width=128)))
"""


def test_a_gradient_in_parts_needs_less_memory(root):
    # In a process of its own: what earlier tests left to TensorFlow would be used again.
    done = subprocess.run(
        [sys.executable, "-c", FAN_IN, str(root / "examples" / "fan_in.py")], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["difference"] < 1e-5
    # 12 branches of 6 intermediate results of 1 MB each, against one branch.
    assert found["whole"] > found["parts"] + 30


def test_guided_backpropagation_of_the_shipped_model(root):
    import tfgradkit as tgk

    example = runpy.run_path(str(root / "examples" / "guided_backpropagation.py"))
    model = tgk.load(root / "saved_models" / "shapes.keras")
    images = np.load(root / "saved_models" / "shapes.npz")["images"][:2]
    found = example["pictures"](model, images, 0)
    assert found["guided"].shape == images.shape
    assert not np.allclose(found["guided"], found["plain"])
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x)[:, 0]
    np.testing.assert_allclose(found["plain"], tape.gradient(score, x), rtol=1e-4, atol=1e-6)
