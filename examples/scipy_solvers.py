#!/usr/bin/env python3
"""SciPy's solvers with the exact Jacobian of a Keras model, from a C library and from TensorFlow.

    tfgradkit compile saved_models/water_eos.keras --output build/eos --name eos --derivative jacobian
    python examples/scipy_solvers.py [build/eos] [saved_models/water_eos.keras] [--states 50]

Three problems with water's (T, rho) -> (p, u): states from pressure and internal energy with
``scipy.optimize.root``, a heated line from noisy pressures with ``least_squares``, and a vessel that fills
from a reservoir with ``solve_ivp``. Each is solved twice by the same code, which only calls another
function for (p, u) and their Jacobian; that function is all that TensorFlow is needed for.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares, root

from tfgradkit.native import load_native

SCALE = np.array([1e8, 1e6])  # Pa, J/kg
LOW, HIGH = np.array([660.0, 1.0]), np.array([1100.0, 500.0])  # K, kg/m3

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Model:
    """(p, u) in 1e8 Pa and 1e6 J/kg, and the Jacobian by (T, rho); remembers the last point, since
    SciPy asks for value and Jacobian there one after the other. Counts calls and their time."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._last: tuple[bytes, tuple[np.ndarray, np.ndarray]] = (b"", (LOW, LOW))
        self.calls = 0
        self.seconds = 0.0

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scaled (p, u) and their Jacobian at x: [..., 2] to [..., 2], [..., 2, 2]."""
        if self._last[0] != x.tobytes():
            start = time.perf_counter()
            y, jacobian = self._evaluate(x)
            self.seconds += time.perf_counter() - start
            self.calls += 1
            self._last = x.tobytes(), (y / SCALE, jacobian / SCALE[:, None])
        return self._last[1]


@dataclass
class Solution:
    """What a solver found, how many times it asked, and how long it took."""

    result: np.ndarray
    iterations: int
    calls: int
    model_seconds: float
    seconds: float


def flash(model: Model, states: int) -> tuple[np.ndarray, int]:
    """(T, rho) of ``states`` random states from their (p, u), by Powell's hybrid method."""
    true = np.random.default_rng(0).uniform([700.0, 50.0], [1050.0, 450.0], (states, 2))
    found, evaluations = [], 0
    for state in true:
        wanted = model(state)[0]

        def residual(x: np.ndarray, wanted: np.ndarray = wanted) -> tuple[np.ndarray, np.ndarray]:
            y, jacobian = model(x)
            return y - wanted, jacobian

        done = root(residual, [870.0, 250.0], jac=True, tol=1e-10)
        found.append(done.x)
        evaluations += done.nfev + done.njev
    return np.array(found), evaluations


def line(model: Model, points: int = 40) -> tuple[np.ndarray, int]:
    """Temperatures at both ends of a line, and its density, from noisy pressures along it."""
    along = np.linspace(0.0, 1.0, points)

    def states(q: np.ndarray) -> np.ndarray:
        return np.stack([q[0] + (q[1] - q[0]) * along, np.full(points, q[2])], 1)

    noise = 1e-3 * np.random.default_rng(1).standard_normal(points)
    measured = model(states(np.array([720.0, 980.0, 310.0])))[0][:, 0] + noise

    def residual(q: np.ndarray) -> np.ndarray:
        return model(states(q))[0][:, 0] - measured

    def jacobian(q: np.ndarray) -> np.ndarray:
        dp = model(states(q))[1][:, 0]  # by T and by rho, at each point
        return np.stack([dp[:, 0] * (1.0 - along), dp[:, 0] * along, dp[:, 1]], 1)

    bounds = (LOW[[0, 0, 1]], HIGH[[0, 0, 1]])
    done = least_squares(residual, [900.0, 900.0, 200.0], jacobian, bounds, x_scale=[100.0, 100.0, 100.0], xtol=1e-12)
    return done.x, done.nfev


def vessel(model: Model) -> tuple[np.ndarray, int]:
    """A vessel between a valve to a reservoir and a heater: stiff, since the pressure settles first."""
    reservoir = model(np.array([950.0, 350.0]))[0]
    rate = np.array([1e3, 500.0])  # of rho by the pressure, of T by the internal energy, to the reservoir's

    def slope(t: float, x: np.ndarray) -> np.ndarray:
        return (rate * (reservoir - model(x)[0]))[::-1]

    def jacobian(t: float, x: np.ndarray) -> np.ndarray:
        return (-rate[:, None] * model(x)[1])[::-1]

    done = solve_ivp(slope, (0.0, 20.0), [750.0, 100.0], "Radau", jac=jacobian, rtol=1e-8, atol=1e-6)
    return done.y[:, -1], done.nfev + done.njev


PROBLEMS: dict[str, Callable[..., tuple[np.ndarray, int]]] = {"root": flash, "least_squares": line, "solve_ivp": vessel}


def solve(problem: str, evaluate: Evaluate, **options: Any) -> Solution:
    """One of ``PROBLEMS`` with ``evaluate`` for (p, u) in SI units and their Jacobian."""
    model = Model(evaluate)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "eos: an input lies outside its range")  # a trial step may
        result, iterations = PROBLEMS[problem](model, **options)
    return Solution(result, iterations, model.calls, model.seconds, time.perf_counter() - start)


def tensorflow(path: str) -> Evaluate:
    """The same from TensorFlow, traced ahead for one point and for many."""
    import tfgradkit as tgk

    derivative = tgk.value_and_jacobian(tgk.load(path))

    def evaluate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, jacobian = derivative(x.reshape(-1, 2))
        return y.numpy().reshape(x.shape), jacobian.numpy().reshape(*x.shape, 2)

    for points in (1, 40):
        evaluate(np.tile(LOW, (points, 1)))
    return evaluate


def main() -> None:
    """Solves everything twice, prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("library", nargs="?", default="build/eos")
    parser.add_argument("model", nargs="?", default="saved_models/water_eos.keras")
    parser.add_argument("--states", type=int, default=50, help="how many for root")
    arguments = parser.parse_args()
    ways = {"C": load_native(arguments.library).value_and_jacobian, "TensorFlow": tensorflow(arguments.model)}
    print(
        f"{'':14} {'calls':>6} {'C ms':>9} {'TensorFlow ms':>14} {'ratio':>6}  in the model alone  {'difference':>10}"
    )
    for problem in PROBLEMS:
        options = {"states": arguments.states} if problem == "root" else {}
        ours, theirs = (solve(problem, evaluate, **options) for evaluate in ways.values())
        if (ours.iterations, ours.calls) != (theirs.iterations, theirs.calls):
            print(f"{problem}: {ours.calls} calls with C, {theirs.calls} with TensorFlow")
        difference = np.max(np.abs(ours.result / theirs.result - 1.0))
        alone = f"{1e6 * ours.model_seconds / ours.calls:.1f} and {1e6 * theirs.model_seconds / theirs.calls:.0f} µs"
        print(
            f"{problem:14} {ours.calls:6} {1e3 * ours.seconds:9.1f} {1e3 * theirs.seconds:14.1f} "
            f"{theirs.seconds / ours.seconds:6.1f}  {alone:>18}  {difference:10.1e}"
        )
        print(f"{'':14} {np.array2string(ours.result[-1] if problem == 'root' else ours.result, precision=6)}")


if __name__ == "__main__":
    main()
