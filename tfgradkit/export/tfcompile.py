"""The graph compiler, in a process of its own: ``python -m tfgradkit.export.tfcompile jobs.json``.

A process of its own since XLA reads its flags once, keeps what it compiled, and ends the process
when it meets a graph that it can't take. The one file that touches ``_pywrap_tfcompile``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CompilerError
from .freeze import FrozenGraph
from .versions import require_tensorflow

# Single-threaded code; no fusions that call a run-time library; matrix products of every size as
# kernels rather than calls of Eigen.
XLA_FLAGS = (
    "--xla_cpu_multi_thread_eigen=false --xla_cpu_experimental_ynn_fusion_type= "
    "--xla_backend_extra_options=xla_force_enable_experimental_llvm_ir_gemm"
)


@dataclass(frozen=True)
class Target:
    """What to generate code for, in LLVM's words."""

    triple: str
    cpu: str
    features: str


@dataclass(frozen=True)
class Job:
    """One function to compile; its files lie in the working folder under ``name``."""

    name: str
    target: Target


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
    (folder / "jobs.json").write_text(json.dumps([asdict(job) for job in jobs]))
    # Relative names, in a folder of its own: the output path leaks into symbols and guards.
    environment = {**os.environ, "XLA_FLAGS": XLA_FLAGS, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", __spec__.name, "jobs.json"]
    done = 0
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith("compiled "):
                    done += 1
                    progress(line.split()[1])
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise CompilerError(
            "the graph compiler failed",
            subject=jobs[min(done, len(jobs) - 1)].name,
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
    return {"float32": "DT_FLOAT", "float64": "DT_DOUBLE"}[frozen.specs[name].dtype.name]


def _exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _last_words(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(("WARNING", "I0", "W0"))]
    return " | ".join(lines[-3:])


def _main(jobs_file: str) -> None:
    from tensorflow.python import _pywrap_tfcompile

    for job in json.loads(Path(jobs_file).read_text()):
        name, target = job["name"], job["target"]
        _pywrap_tfcompile.Compile(
            graph=f"{name}.pb",
            config=f"{name}.pbtxt",
            target_triple=target["triple"],
            target_cpu=target["cpu"],
            target_features=target["features"],
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
        print(f"compiled {name}", flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
