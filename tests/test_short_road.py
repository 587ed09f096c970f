"""How far it is from ``tgk.jacobian(model)(x)`` to the tape: files and functions of the package, and frames."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

PACKAGE = str(Path(tgk.__file__).parent)
X = np.ones((2, 4), "float32")
# What a newcomer who follows the first call has to read.
MOST_FILES, MOST_FUNCTIONS = 18, 110
MOST_FRAMES, MOST_FILES_ON_THE_STACK = 12, 7


def model() -> keras.Model:
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(3)])


def is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(PACKAGE)


@pytest.fixture(scope="module", autouse=True)
def everything_imported():
    tgk.jacobian(model())(X)


def files(codes) -> list[str]:
    return sorted({str(Path(code.co_filename).relative_to(PACKAGE)) for code in codes})


def test_the_first_call_passes_few_files_and_functions():
    jacobian, fresh, codes = tgk.jacobian, model(), set()

    def seen(frame, event, _):
        if event == "call" and is_ours(frame.f_code):
            codes.add(frame.f_code)

    sys.setprofile(seen)
    try:
        jacobian(fresh)(X)
    finally:
        sys.setprofile(None)
    assert codes, "nothing was counted"
    assert len(files(codes)) <= MOST_FILES, files(codes)
    assert len(codes) <= MOST_FUNCTIONS, sorted(code.co_qualname for code in codes)


@pytest.mark.parametrize("operator", ["jacobian", "gradient", "vjp"])
def test_the_tape_is_near(operator, monkeypatch):
    """At every call of the tape, the one inside the loop over the seeds among them."""
    stacks, gradient = [], tf.GradientTape.gradient

    def watched(self, *args, **keywords):
        frame, stack = sys._getframe(1), []
        while frame is not None:
            stack += [frame.f_code] if is_ours(frame.f_code) else []
            frame = frame.f_back
        stacks.append(stack)
        return gradient(self, *args, **keywords)

    monkeypatch.setattr(tf.GradientTape, "gradient", watched)
    function = (lambda x: tf.reduce_sum(x**3)) if operator == "gradient" else model()
    seed = {"output_gradients": np.ones((2, 3), "float32")} if operator == "vjp" else {}
    getattr(tgk, operator)(function)(X, **seed)
    assert stacks, "no tape was asked"
    for stack in stacks:
        assert len(stack) <= MOST_FRAMES, [code.co_qualname for code in stack]
        assert len(files(stack)) <= MOST_FILES_ON_THE_STACK, files(stack)
