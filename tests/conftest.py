"""What the tests share: the shipped model, and its exports, made once a session."""

from __future__ import annotations

import os

# Before TensorFlow is imported: its news about GPUs and instruction sets.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
WATER_RANGE = ([660.0, 1.0], [1100.0, 500.0])


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> None:
    """Tiles are measured anew, and the user's cache is left alone."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def rules_as_before():
    """What a test registers for the whole process is taken back."""
    yield
    from tfgradkit.op_gradients import register_gradient

    for registration in [r for stack in register_gradient._users.values() for r in stack]:
        registration.remove()


@pytest.fixture
def without_our_rules():
    """For ops to which tfgradkit gives a gradient: TensorFlow as it is."""
    from tfgradkit.op_gradients import ops as _builtin  # noqa: F401  registers them
    from tfgradkit.op_gradients.registry import SHIPPED, put

    ops = ("IgammaGradA", "Dilation2DBackpropInput", "Dilation2DBackpropFilter")
    for op in ops:
        put(op, SHIPPED[op].replaces)
    yield
    for op in ops:
        put(op, SHIPPED[op].rule)


@pytest.fixture(scope="session")
def water():
    import tfgradkit as tgk

    return tgk.load(ROOT / "saved_models" / "water_eos.keras")


@pytest.fixture(scope="session")
def water_library(water, tmp_path_factory):
    """The water model as a C library, in a folder whose name has a space."""
    import tfgradkit as tgk

    folder = tmp_path_factory.mktemp("water library") / "eos"
    return tgk.export_native(water, folder, "eos", ("jacobian", "vjp"), ranges={"x": WATER_RANGE})


@pytest.fixture(scope="session")
def water_saved_model(water, tmp_path_factory) -> Path:
    import tfgradkit as tgk

    folder = tmp_path_factory.mktemp("water") / "saved_model"
    tgk.export_saved_model(water, folder, ("jacobian", "vjp"))
    return folder


@pytest.fixture(scope="session")
def water_points(water_library) -> dict[str, np.ndarray]:
    """The recorded points and answers of the water library."""
    return dict(np.load(water_library.path / water_library.metadata["files"]["vectors"]))


@pytest.fixture(scope="session")
def mlp_library(tmp_path_factory):
    """A float32 library, of the model the benchmarks use."""
    import models

    import tfgradkit as tgk

    model = models.build(models.mlp(), "float32")
    return model, tgk.export_native(model, tmp_path_factory.mktemp("mlp") / "mlp", "mlp", ("jacobian", "vjp"))


@pytest.fixture(scope="session")
def pair_library(tmp_path_factory):
    """Two inputs, two outputs, two dtypes; see pair.py."""
    import pair

    from tfgradkit.native import load_native

    return load_native(pair.write_pair(tmp_path_factory.mktemp("pair") / "pair", ROOT / "tests/clients/pair.c"))
