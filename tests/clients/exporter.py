"""Exports a small model, for tests that run several exports at once or kill them: exporter.py FOLDER SCALE.

Prints each step as it begins. SCALE multiplies the weights, so that exports can be told apart.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "helpers"))

import models

import tfgradkit as tgk
from tfgradkit.export.native.compile.targets import choose_targets


def main() -> None:
    """The model of the tests' smallest library, for the plainest target."""
    model = models.build(models.mlp(2, 3, 5), "float32")
    for variable in model.weights:
        variable.assign(float(sys.argv[2]) * variable)
    plain = (choose_targets(("host",))[0].name,)
    step = lambda name: print(name.split()[0], flush=True)  # noqa: E731
    tgk.export_native(model, sys.argv[1], "tiny", (), targets=plain, overwrite=True, progress=step)
    print("done", flush=True)


if __name__ == "__main__":
    main()
