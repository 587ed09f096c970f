"""The graph compiler, in a process of its own: ``python -m tfgradkit.export.native.compile.tfcompile jobs.json``.

XLA reads its flags once, keeps what it compiled, and ends the process at a graph that it can't take. Each target has
other flags, so the process loads the compiler and then forks into one process for each set of flags. The one file
that touches ``_pywrap_tfcompile``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ....errors import CompilerError
from ....tensorflow_version import require_tensorflow
from .targets import Target

if TYPE_CHECKING:  # the process that compiles does without TensorFlow's Python
    from .frozen_graph import FrozenGraph

# Single-threaded code; no fusions that call a run-time library; matrix products of every size as
# kernels rather than calls of Eigen.
_FLAGS = "--xla_cpu_multi_thread_eigen=false --xla_cpu_experimental_ynn_fusion_type="
_BACKEND = "--xla_backend_extra_options=xla_force_enable_experimental_llvm_ir_gemm"
# XLA uses half of a wider vector unless a flag says otherwise.
_USUAL_VECTOR = 32


@dataclass(frozen=True)
class Job:
    """One function to compile; its files lie in the working folder under ``name``."""

    name: str
    target: Target

    @property
    def arguments(self) -> dict[str, str]:
        """The entry of ``jobs.json``."""
        target = self.target
        return {
            "name": self.name,
            "triple": target.triple,
            "cpu": target.cpu,
            "features": target.features,
            "flags": xla_flags(target),
        }


def xla_flags(target: Target) -> str:
    """The flags for a target, as the environment variable ``XLA_FLAGS`` holds them."""
    block = f",xla_llvm_ir_gemm_tile_size={target.block}*vectwidth" if target.block else ""
    width = f" --xla_cpu_prefer_vector_width={8 * target.vector_bytes}" if target.vector_bytes > _USUAL_VECTOR else ""
    return f"{_FLAGS} {_BACKEND}{block}{width}"


def prepare(folder: Path, name: str, frozen: FrozenGraph, target: Target) -> Job:
    """Writes the graph and the compiler's configuration of one function."""
    (folder / f"{name}.pb").write_bytes(frozen.graph.SerializeToString(deterministic=True))
    (folder / f"{name}.pbtxt").write_text(_configuration(frozen))
    return Job(name, target)


def compile_jobs(folder: Path, jobs: list[Job], progress: Callable[[str], None]) -> None:
    """Compiles all jobs; leaves ``name.h``, ``name.o`` and ``name_constants.o`` of each in ``folder``.

    Raises:
        CompilerError: with the compiler's own last words.
        VersionError: not the TensorFlow that is supported.
    """
    require_tensorflow()
    (folder / "jobs.json").write_text(json.dumps([job.arguments for job in jobs]))
    # Relative names, in a folder of its own: the output path leaks into symbols and guards.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", __spec__.name, "jobs.json"]
    waiting = [job.name for job in jobs]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith("compiled "):
                    waiting.remove(line.split()[1])
                    progress(line.split()[1])
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # and the processes that it forked
            raise
    if process.returncode != 0:
        raise CompilerError(
            "the graph compiler failed",
            subject=_first_failed(folder, waiting) or jobs[-1].name,
            got=_last_words((folder / "log").read_text(errors="replace")) or _exit(process.returncode),
            hint="export_saved_model does not compile; export a smaller part of the model to find the layer",
        )


def _configuration(frozen: FrozenGraph) -> str:
    """``tf2xla.Config`` as text."""
    lines = []
    for name, node in frozen.inputs.items():
        shape = "".join(f"dim {{ size: {size} }} " for size in frozen.specs[name].shape)
        lines.append(
            f'feed {{ id {{ node_name: "{node}" }} shape {{ {shape}}} name: "{name}" type: {_type(frozen, name)} }}'
        )
    for name, node in frozen.outputs.items():
        lines.append(f'fetch {{ id {{ node_name: "{node}" }} name: "{name}" type: {_type(frozen, name)} }}')
    return "\n".join(lines)


def _type(frozen: FrozenGraph, name: str) -> str:
    dtype = frozen.specs[name].dtype.name
    return {"float32": "DT_FLOAT", "float64": "DT_DOUBLE"}.get(dtype, f"DT_{dtype.upper()}")


def _exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _last_words(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(("WARNING", "I0", "W0"))]
    return " | ".join(lines[-3:])


def _first_failed(folder: Path, waiting: list[str]) -> str | None:
    """The job that was begun and not finished, else the first that was not begun."""
    begun = [name for name in waiting if (folder / f"{name}.begun").exists()]
    return next(iter(begun or waiting), None)


def _main(jobs_file: str) -> None:
    groups: dict[str, list[dict[str, str]]] = {}
    for job in json.loads(Path(jobs_file).read_text()):
        groups.setdefault(job["flags"] + job["cpu"], []).append(job)
    compiler = _compiler()
    running = {os.fork() or _compile_group(compiler, group) for group in groups.values()}
    while running:
        process, status = os.wait()
        running.discard(process)
        if status:
            _end(running)
            _exit_like(os.waitstatus_to_exitcode(status))


def _compiler() -> Any:
    """The extension module alone: empty packages stand for TensorFlow's, which take seconds to import."""
    package = importlib.util.find_spec("tensorflow")
    assert package is not None
    for folder in package.submodule_search_locations or ():
        for name, path in (("tensorflow", folder), ("tensorflow.python", os.path.join(folder, "python"))):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [path]
    from tensorflow.python import _pywrap_tfcompile

    return _pywrap_tfcompile


def _compile_group(compiler: Any, jobs: list[dict[str, str]]) -> NoReturn:
    """Compiles jobs of the same flags and ends the process: XLA reads its flags at the first compilation."""
    code = 1
    try:
        os.environ["XLA_FLAGS"] = jobs[0]["flags"]
        for job in jobs:
            Path(f"{job['name']}.begun").touch()
            _compile(compiler, job)
            os.write(1, f"compiled {job['name']}\n".encode())
            Path(f"{job['name']}.begun").unlink()
        code = 0
    except Exception as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _compile(compiler: Any, job: dict[str, str]) -> None:
    name = job["name"]
    compiler.Compile(
        graph=f"{name}.pb",
        config=f"{name}.pbtxt",
        target_triple=job["triple"],
        target_cpu=job["cpu"],
        target_features=job["features"],
        entry_point=name,
        cpp_class=name,
        out_function_object=f"{name}.o",
        out_metadata_object=f"{name}_metadata.o",
        out_header=f"{name}.h",
        out_session_module="",
        out_constant_buffers_object=f"{name}_constants.o",
        mlir_components="",
        gen_name_to_index=True,
        gen_program_shape=True,
    )


def _end(processes: set[int]) -> None:
    for process in processes:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _exit_like(code: int) -> NoReturn:
    """Ends this process as the child ended, so that the caller can tell a signal from an error."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _main(sys.argv[1])
