"""Runs a SavedModel's signatures in a process that has never heard of tfgradkit.

python loader.py FOLDER VECTORS.npz OUTPUT.npz
"""

import sys

import numpy as np
import tensorflow as tf

folder, vectors, output = sys.argv[1:]
loaded = tf.saved_model.load(folder)
points = np.load(vectors)
x, u = tf.constant(points["x"]), tf.constant(points["output_gradients"])
results = {
    "y": loaded.signatures["value"](x=x)["y"],
    "jacobian": loaded.signatures["jacobian"](x=x)["jacobian"],
    "vjp": loaded.signatures["vjp"](x=x, output_gradients=u)["vjp"],
}
if any(name.split(".")[0] == "tfgradkit" for name in sys.modules):
    sys.exit("tfgradkit was imported")
np.savez(output, **{name: value.numpy() for name, value in results.items()})
