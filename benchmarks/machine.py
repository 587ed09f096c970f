"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path


def described() -> str:
    """Processor, cores, and the versions of the frameworks that are installed."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    return f"{processor}, {os.cpu_count()} cores{_versions()}"


def _versions() -> str:
    found = []
    for name, package in (("TensorFlow", "tensorflow"), ("JAX", "jax"), ("PyTorch", "torch")):
        try:
            found.append(f", {name} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return "".join(found)
