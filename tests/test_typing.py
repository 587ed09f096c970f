"""A user's script is checked by ``mypy --strict`` against the package as it is installed; wrong uses are errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

RIGHT = """
from __future__ import annotations

import numpy as np

import tfgradkit as tgk
import tfgradkit.native
from tfgradkit import errors, layers
from tfgradkit.types import Block, CSRTensors, Plan, Registration, Solution, SparseJacobian, Structure


def f(x: np.ndarray) -> np.ndarray:
    return x**2


derivative: tgk.Derivative = tgk.jacobian(f, batched=True, mode="forward", strategy="tile", chunk_size="auto")
plan: Plan = derivative.plan
steps: list[str] = [step.strategy for step in plan.steps]
twins: list[tgk.Derivative] = [
    tgk.value_and_jacobian(f, argnums=(0, 1), has_aux=True),
    tgk.laplacian(f, method="hutchinson", probes=4, seed=0, batched=True),
    tgk.partial(f, 0, ("x", 1), output=0, unconnected="raise"),
    tgk.linearize(f, jit_compile=True),
]
sparse: SparseJacobian = tgk.sparse_jacobian(f, format="tensors", check=True)
explained: tgk.Explanation = tgk.explain(f, np.ones(3), wrt="parameters")
causes: list[str | None] = [connection.cause for connection in explained]
audited: list[str] = [obstacle.op for obstacle in tgk.audit(f, np.ones(3), order=2, target="native")]
digits: float = tgk.check_gradients(f, np.ones(3), order=2, wrt="inputs").digits
independent: bool = tgk.check_batch_independence(f, np.ones((2, 3)), training=True).ok
where: str | None = tgk.locate_nonfinite(f, np.ones(3)).where
known: Structure = tgk.structure(derivative)
blocks: list[Block] = list(known)
counts: dict[str, int] = tgk.graph_summary(f).before
tree: str = tgk.graph_tree(f, depth=3)
page: str = tgk.report.report(f, np.ones(3), title="f", limits=tgk.report.Limits(points=3))
values: object = tgk.attribution.saliency(f)(np.ones((2, 3))).values
solved: Solution = tgk.implicit(lambda u, p: u - p, linear_solver="gmres").solve(1.0)
library: tgk.NativeLibrary = tgk.load_native("folder")
library = tfgradkit.native.load_native("folder")
exported: tgk.NativeLibrary = tgk.export_native(f, "folder", "f", ("jacobian", "vjp"), targets=("x86-64",))
tgk.export_saved_model(f, "folder", ["hessian"], batch=3)
layer: layers.Derivative = tgk.layers.Derivative(tgk.load("model.keras"), "value_and_jacobian")
version: str = tgk.__version__

with tgk.ExplainingTape(persistent=True) as tape:
    tape.watch(np.ones(3))
    found: tgk.Explanation = tape.explain(f, [f])


@tgk.register_gradient("Floor", order=2)
def straight(op: object, upstream: object) -> object:
    return upstream


with tgk.register_gradient("Floor", straight, replace=True) as registration:
    name: str = registration.op_type


@tgk.custom_rule(vjp=lambda x, output_gradients: output_gradients)
def ruled(x: float) -> float:
    return x


y: float = ruled(2.0)
right: bool = ruled.check(2.0, order=2).ok

try:
    tgk.gradient(f)(1.0)
except errors.GradientError as error:
    print(error.hint)
except tgk.errors.TfGradKitError as error:
    print(error.subject, error.expected)
"""
# Each line of it is one error, with mypy's code.
WRONG = """
import tfgradkit as tgk
from tfgradkit.types import Plan, Nothing  # attr-defined

tgk.jakobian(print)  # attr-defined
tgk.jacobian(print, mod="forward")  # call-arg
tgk.jacobian(print, mode="forwards")  # arg-type
tgk.jacobian(print, batched="yes")  # arg-type
tgk.value_and_hvp(print, strategy="loops")  # arg-type
tgk.laplacian(print, probes="many")  # arg-type
tgk.sparse_jacobian(print, format="coo")  # arg-type
tgk.linearize(print, argnums=0.5)  # arg-type
tgk.check_gradients(print, 1.0, unconnected="nothing")  # arg-type
tgk.implicit(print, unconverged="ignore")  # arg-type
tgk.audit(print, target="gpu")  # arg-type
plan: Plan = tgk.jacobian(print)  # assignment
plan.modes  # attr-defined
tgk.explain(print)[0].status == "conected"  # comparison-overlap
tgk.load_native()  # call-arg
tgk.register_gradient("Floor", lambda op, u: u).undo()  # attr-defined
"""


@pytest.fixture(scope="module")
def said(root, tmp_path_factory):
    """mypy's errors, by file: line and code."""
    folder = tmp_path_factory.mktemp("user")
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG)):
        (folder / name).write_text(text)
    # On PYTHONPATH, not in the working folder: mypy takes it as installed, and believes it if it has a py.typed.
    command = [sys.executable, "-m", "mypy", "--strict", "--no-color-output", "--cache-dir", str(folder / "cache")]
    given = {**os.environ, "PYTHONPATH": str(root), "MYPYPATH": ""}
    done = subprocess.run([*command, "right.py", "wrong.py"], capture_output=True, text=True, cwd=folder, env=given)
    if "No module named mypy" in done.stderr:
        pytest.skip("mypy is not installed")
    found = re.findall(r"^(\w+\.py):(\d+): error: (.*)\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return found


def test_a_users_script_is_right(said):
    assert [error for error in said if error[0] == "right.py"] == []


def test_wrong_uses_are_errors_on_their_lines(said):
    lines = [line.rpartition("# ")[2] if "  # " in line else None for line in WRONG.splitlines()]
    wanted = {(number, code) for number, code in enumerate(lines, start=1) if code}
    assert {(int(line), code) for file, line, _, code in said if file == "wrong.py"} == wanted


def test_an_error_names_what_was_meant(said):
    texts = " ".join(text for file, _, text, _ in said if file == "wrong.py")
    assert 'Unexpected keyword argument "mod" for "jacobian"; did you mean "mode"?' in texts
    assert "Literal['auto', 'forward', 'reverse']" in texts


def test_the_package_is_marked_as_typed(root):
    assert (root / "tfgradkit" / "py.typed").exists()
