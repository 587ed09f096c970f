"""A library of two inputs and two outputs of different dtypes, written by hand (clients/pair.c)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from clients import run

from tfgradkit.export.native.compile.toolchain import find_toolchain
from tfgradkit.export.native.library.clients import write_python_module
from tfgradkit.native.artifact import write_checksums

TILE = 8
PORTS = {
    "a": ((3,), "float64"),
    "b": ((2,), "float32"),
    "u": ((), "float32"),
    "w": ((2,), "float64"),
    "d_u_d_a": ((3,), "float32"),
    "d_u_d_b": ((2,), "float32"),
    "d_w_d_a": ((2, 3), "float64"),
    "d_w_d_b": ((2, 2), "float64"),
    "output_gradients_u": ((), "float32"),
    "output_gradients_w": ((2,), "float64"),
    "vjp_a": ((3,), "float64"),
    "vjp_b": ((2,), "float32"),
    "tangents_a": ((3,), "float64"),
    "tangents_b": ((2,), "float32"),
    "jvp_u": ((), "float32"),
    "jvp_w": ((2,), "float64"),
}
INPUTS = {
    "value": ["a", "b"],
    "jacobian": ["a", "b"],
    "vjp": ["a", "b", "output_gradients_u", "output_gradients_w"],
    "jvp": ["a", "b", "tangents_a", "tangents_b"],
}
OUTPUTS = {
    "value": ["u", "w"],
    "jacobian": ["u", "w", "d_u_d_a", "d_u_d_b", "d_w_d_a", "d_w_d_b"],
    "vjp": ["u", "w", "vjp_a", "vjp_b"],
    "jvp": ["u", "w", "jvp_u", "jvp_w"],
}


def write_pair(folder: Path, source: Path) -> Path:
    """The library's folder, as an export would have written it."""
    for name in ("lib", "python", "share/pair"):
        (folder / name).mkdir(parents=True)
    command = [*find_toolchain().cc, "-std=c99", "-O2", "-fPIC", "-shared", str(source), "-lm"]
    run([*command, "-o", str(folder / "lib" / "libpair.so")])
    np.savez(folder / "share/pair/testvectors.npz", **points(20))
    (folder / "share/pair/metadata.json").write_text(json.dumps(metadata()))
    for path, text in write_python_module(metadata()).items():
        (folder / path).write_text(text)
    write_checksums(folder)
    return folder


def metadata() -> dict[str, Any]:
    return {
        "abi_version": 1,
        "name": "pair",
        "model": "pair",
        "versions": {"tfgradkit": "0"},
        "arrays": [{"name": name, "shape": shape, "dtype": dtype} for name, (shape, dtype) in PORTS.items()],
        "functions": [{"kind": kind, "inputs": INPUTS[kind], "outputs": OUTPUTS[kind]} for kind in INPUTS],
        "tile_points": TILE,
        "tolerance": 1e-6,
        "precision": "float32",
        "files": {"shared": "lib/libpair.so", "vectors": "share/pair/testvectors.npz"},
    }


def points(n: int) -> dict[str, np.ndarray]:
    """n points and every result there, by numpy; seeds, too."""
    generator = np.random.default_rng(n)
    p = {name: generator.uniform(-1, 1, (n, *PORTS[name][0])).astype(PORTS[name][1]) for name in INPUTS["vjp"]}
    p |= {f"tangents_{name}": p[name][::-1].copy() for name in ("a", "b")}
    a, b = p["a"], p["b"]
    zero, e = np.zeros(n), np.exp(b[:, 0])
    p["u"] = (a[:, 0] * a[:, 1]).astype(np.float32) + e + (np.arange(n) % TILE % 2).astype(np.float32) / 2**20
    p["w"] = np.stack([a[:, 0] * b[:, 1], a[:, 2] * b[:, 0]], 1)
    p["d_u_d_a"] = np.stack([a[:, 1], a[:, 0], zero], 1).astype(np.float32)
    p["d_u_d_b"] = np.stack([e, zero.astype(np.float32)], 1)
    p["d_w_d_a"] = np.stack([b[:, 1], zero, zero, zero, zero, b[:, 0]], 1).reshape(n, 2, 3)
    p["d_w_d_b"] = np.stack([zero, a[:, 0], a[:, 2], zero], 1).reshape(n, 2, 2)
    s, g = p["output_gradients_u"], p["output_gradients_w"]
    for x in ("a", "b"):
        first = s[:, None] * p[f"d_u_d_{x}"].astype(np.float64)
        p[f"vjp_{x}"] = (first + np.einsum("ny,nyx->nx", g, p[f"d_w_d_{x}"])).astype(PORTS[x][1])
    for y, index in (("u", "nx,nx->n"), ("w", "nyx,nx->ny")):
        total = sum(np.einsum(index, p[f"d_{y}_d_{x}"].astype(np.float64), p[f"tangents_{x}"]) for x in ("a", "b"))
        p[f"jvp_{y}"] = np.asarray(total).astype(PORTS[y][1])
    return p
