#!/usr/bin/env python3
"""Trains saved_models/water_eos.keras: pressure and internal energy of water above its critical temperature.

    python scripts/train_water_eos.py

One input (T, rho) in K and kg/m³, one output (p, u) in Pa and J/kg; T 660–1100 K, rho 1–500
kg/m³. The reference is IAPWS-95 as CoolProp computes it (Wagner & Pruß, J. Phys. Chem. Ref. Data
31, 2002), values and all four exact derivatives (Sobolev training: Czarnecki et al., NeurIPS
2017). Writes the model, a table of reference states that were not trained on, and the reached
errors into saved_models/README.md. Deterministic; takes a few minutes.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import CoolProp
import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from scipy.stats import qmc

import tfgradkit as tgk

FOLDER = Path(__file__).resolve().parent.parent / "saved_models"
LOW, HIGH = np.array([660.0, 1.0]), np.array([1100.0, 500.0])
COLUMNS = ("p", "u", "dp_dT", "dp_drho", "du_dT", "du_drho")
UNITS = ("Pa", "J/kg", "Pa/K", "Pa·m³/kg", "J/(kg·K)", "J·m³/kg²")
VALUE_LIMIT, DERIVATIVE_LIMIT = 0.5, 2.0  # percent of each quantity's range
WIDTH, DEPTH = 24, 3


def reference(states: np.ndarray) -> np.ndarray:
    """CoolProp's p, u and their derivatives by T and rho; one row a state."""
    water = CoolProp.AbstractState("HEOS", "Water")
    by = {"T": (CoolProp.iT, CoolProp.iDmass), "rho": (CoolProp.iDmass, CoolProp.iT)}
    rows = []
    for temperature, density in states:
        water.update(CoolProp.DmassT_INPUTS, density, temperature)
        slopes = [water.first_partial_deriv(of, *by[v]) for of in (CoolProp.iP, CoolProp.iUmass) for v in ("T", "rho")]
        rows.append([water.p(), water.umass(), *slopes])
    return np.array(rows)


def sobol(count: int, seed: int, crowding: float = 1.0) -> np.ndarray:
    """States that fill the range evenly; ``crowding`` > 1 draws them to the low temperatures."""
    unit = qmc.Sobol(2, seed=seed).random(count)
    unit[:, 0] **= crowding
    return LOW + (HIGH - LOW) * unit


def chebyshev(count: int) -> np.ndarray:
    """A grid that is dense at the edges, edges included."""
    axis = 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / (count - 1))
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return LOW + (HIGH - LOW) * grid


def build(values: np.ndarray) -> keras.Model:
    """tanh layers between two scalings; everything in float64."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float64")
    scale, offset = 2 / (HIGH - LOW), -(HIGH + LOW) / (HIGH - LOW)
    x = keras.Input((2,), name="T_rho", dtype="float64")
    h = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="to_unit")(x)
    for i in range(DEPTH):
        h = keras.layers.Dense(WIDTH, "tanh", name=f"hidden_{i + 1}")(h)
    h = keras.layers.Dense(2, name="linear")(h)
    y = keras.layers.Rescaling(values.std(0).tolist(), values.mean(0).tolist(), name="to_pa_and_j_per_kg")(h)
    return keras.Model(x, y, name="water_eos")


def objective(
    model: keras.Model, states: np.ndarray, targets: np.ndarray
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Mean squared error of values and derivatives, each by its range, and its gradient by the weights."""
    weights = [v.value for v in model.trainable_variables]
    sizes = [int(np.prod(w.shape)) for w in weights]
    scale = tf.constant(np.ptp(targets, axis=0))
    importance = tf.constant([1.0, 1.0, 0.3, 0.3, 0.3, 0.3], tf.float64)
    x, target = tf.constant(states), tf.constant(targets)
    derivative = tgk.value_and_jacobian(model)

    @tf.function(jit_compile=True)
    def loss_and_gradient() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            y, slopes = derivative(x)
            error = (tf.concat([y, tf.reshape(slopes, [-1, 4])], 1) - target) / scale
            loss = tf.reduce_mean(importance * error**2)
        gradient = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, tf.concat([tf.reshape(g, [-1]) for g in gradient], 0)

    def call(flat: np.ndarray) -> tuple[float, np.ndarray]:
        for weight, part in zip(weights, np.split(flat, np.cumsum(sizes)[:-1]), strict=True):
            weight.assign(part.reshape(weight.shape))
        loss, gradient = loss_and_gradient()
        return float(loss), gradient.numpy()

    return call


def errors(model: keras.Model, states: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest and root-mean-square errors of the six quantities, in percent of their ranges."""
    y, slopes = tgk.value_and_jacobian(model)(states)
    got = np.concatenate([y.numpy(), slopes.numpy().reshape(-1, 4)], 1)
    relative = 100 * np.abs(got - expected) / np.ptp(expected, axis=0)
    return relative.max(0), np.sqrt((relative**2).mean(0))


def train(iterations: int) -> keras.Model:
    """L-BFGS on values and derivatives at about 2,000 states."""
    states = np.concatenate([chebyshev(32), sobol(1024, seed=1, crowding=2.0)])
    targets = reference(states)
    model = build(targets[:, :2])
    call = objective(model, states, targets)
    flat = np.concatenate([w.numpy().ravel() for w in model.trainable_variables])
    for done in range(0, iterations, 1000):
        steps = min(1000, iterations - done)
        result = minimize(
            call,
            flat,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "maxfun": 2 * steps, "maxcor": 50, "ftol": 0, "gtol": 0},
        )
        flat = result.x
        print(f"{done + steps:6d} iterations, loss {result.fun:.3e}", flush=True)
    call(flat)
    return model


def write_table(path: Path, states: np.ndarray, values: np.ndarray) -> None:
    """The reference states as CSV, every digit."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["T", "rho", *COLUMNS])
        writer.writerows([repr(float(v)) for v in row] for row in np.concatenate([states, values], 1))


def describe(worst: np.ndarray, mean: np.ndarray, expected: np.ndarray, count: int) -> str:
    """The table of reached errors, as Markdown."""
    rows = [f"Errors at {count} states that were not trained on, in percent of each quantity's range there:", ""]
    rows += ["| quantity | range | largest error | r.m.s. error |", "|---|---|---|---|"]
    for name, unit, low, high, a, b in zip(COLUMNS, UNITS, expected.min(0), expected.max(0), worst, mean, strict=True):
        rows.append(f"| {name} | {low:.4g} to {high:.4g} {unit} | {a:.4f} % | {b:.4f} % |")
    return "\n".join(rows)


def main() -> int:
    """Trains, checks, writes; 1 where the model is not good enough to be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=8000)
    parser.add_argument("--output", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    model = train(arguments.iterations)
    states = sobol(4096, seed=7)
    expected = reference(states)
    worst, mean = errors(model, states, expected)
    text = describe(worst, mean, expected, len(states))
    print(text)
    if worst[:2].max() > VALUE_LIMIT or worst[2:].max() > DERIVATIVE_LIMIT:
        print("not good enough: nothing was written", file=sys.stderr)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    model.save(arguments.output / "water_eos.keras")
    table = sobol(256, seed=11)
    write_table(arguments.output / "water_eos.csv", table, reference(table))
    readme = arguments.output / "README.md"
    if readme.exists():
        marked = re.sub(
            r"(<!-- errors -->\n).*?(<!-- /errors -->)",
            lambda m: f"{m[1]}{text}\n{m[2]}",
            readme.read_text(),
            flags=re.DOTALL,
        )
        readme.write_text(marked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
