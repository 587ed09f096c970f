"""The same model through every client: Python, SavedModel, TensorFlow's C API, C, ctypes.

Each function returns y, jacobian and vjp at the given points. Used by the tests, by the benchmark,
and by scripts/parity.py, which writes the README's table.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tfgradkit.export.native.compile.toolchain import find_toolchain
from tfgradkit.native import load_native

CLIENTS = Path(__file__).resolve().parent.parent / "tests" / "clients"
RESULTS = ("y", "jacobian", "vjp")

Arrays = dict[str, np.ndarray]


def in_python(model: Any, points: Arrays) -> Arrays:
    """The operators, in this process."""
    import tfgradkit as tgk

    y, jacobian = tgk.value_and_jacobian(model)(points["x"])
    vjp = tgk.vjp(model)(points["x"], output_gradients=points["output_gradients"])
    return {"y": y.numpy(), "jacobian": jacobian.numpy(), "vjp": vjp.numpy()}


def in_saved_model(folder: Path, points: Arrays) -> Arrays:
    """The SavedModel, in another Python process without tfgradkit."""
    with tempfile.TemporaryDirectory() as work:
        given, written = Path(work) / "in.npz", Path(work) / "out.npz"
        np.savez(given, allow_pickle=False, **points)
        run([sys.executable, str(CLIENTS / "loader.py"), str(folder), str(given), str(written)])
        return dict(np.load(written))


def in_tensorflow_c(folder: Path, points: Arrays) -> Arrays:
    """The SavedModel, in a C program over TensorFlow's C API."""
    program = tensorflow_client()
    results: Arrays = {}
    for kind, name, inputs in (
        ("value", "y", ("x",)),
        ("jacobian", "jacobian", ("x",)),
        ("vjp", "vjp", ("x", "output_gradients")),
    ):
        signature = signature_of(folder, kind)
        with tempfile.TemporaryDirectory() as work:
            arguments = [input_argument(Path(work), signature.inputs[i].name, points[i]) for i in inputs]
            output = Path(work) / "out"
            run([*program, str(folder), "0", *arguments, f"out:{signature.outputs[name].name}:{output}"])
            results[name] = np.fromfile(output, points["x"].dtype)
    return results


def in_c(folder: Path, points: Arrays) -> Arrays:
    """The compiled library, in a C program that links it statically."""
    library = load_native(folder)
    x, y = points["x"], points["output_gradients"]
    defines = [f"-DNAME={library.name}", f"-DTYPE={'float' if x.dtype == np.float32 else 'double'}"]
    defines += [f"-DNX={x[0].size}", f"-DNY={y[0].size}"]
    with tempfile.TemporaryDirectory() as work:
        program, files = Path(work) / "client", [str(Path(work) / name) for name in ("x", "u", *RESULTS)]
        command = [*find_toolchain().cc, "-O2", *defines, f"-I{folder / 'include'}", str(CLIENTS / "library_client.c")]
        run([*command, str(folder / library.metadata["files"]["static"]), "-lm", "-o", str(program)])
        x.tofile(files[0])
        y.tofile(files[1])
        run([str(program), str(len(x)), *files])
        return {name: np.fromfile(file, x.dtype) for name, file in zip(RESULTS, files[2:], strict=True)}


def in_ctypes(folder: Path, points: Arrays) -> Arrays:
    """The compiled library, loaded by ``load_native``."""
    library = load_native(folder)
    y, jacobian = library.value_and_jacobian(points["x"])
    return {"y": y, "jacobian": jacobian, "vjp": library.vjp(points["x"], points["output_gradients"])}


@cache
def tensorflow_client() -> tuple[str, ...]:
    """The C program over TensorFlow's C API, built once against the wheel's libtensorflow_cc."""
    import tensorflow as tf

    package = Path(tf.__file__).parent
    program = Path(tempfile.mkdtemp(prefix="tensorflow-client-")) / "client"
    command = [
        *find_toolchain().cc,
        "-O2",
        f"-I{package / 'include'}",
        str(CLIENTS / "tensorflow_client.c"),
        f"-L{package}",
    ]
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{package}"]
    run([*command, *libraries, "-o", str(program)])
    return (str(program),)


def run(command: list[str]) -> str:
    """Output of a command; ends with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])} ... failed with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def input_argument(work: Path, tensor: str, array: np.ndarray) -> str:
    """How the C program is told of an input, whose numbers go into a file in ``work``."""
    file = work / tensor.replace(":", "_").replace("/", "_")
    array.tofile(file)
    dtype = "float" if array.dtype == np.float32 else "double"
    return f"in:{tensor}:{dtype}:{','.join(map(str, array.shape))}:{file}"


def signature_of(folder: Path, kind: str) -> Any:
    """The signature of a SavedModel as it is stored: the names of its tensors."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def[kind]
