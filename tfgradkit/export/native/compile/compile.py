"""From entries to compiled functions: graphs of each size, kernels for each target, and the tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ....derivatives.sweep.plan import PlanStep
from ....differentiable import Differentiable
from ....errors import CompilerError
from ....graph.flops import product_flops
from ...functions.interface import Entry
from ...functions.tf_functions import argument_specs, exported
from ..library.c_sources import CompiledFunction, Pair
from .compiled_program import Program
from .compiler_output import read_header
from .elf import check_object, read_constants
from .engine_products import PackedWays, with_products
from .frozen_graph import FrozenGraph, canonicalize, freeze, has_control_flow, pad_products
from .targets import Target
from .tfcompile import compile_jobs, prepare
from .tile_size import candidates, fastest, worth_single_points
from .toolchain import Toolchain
from .unsupported import audit_native

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CompilationPlan:
    """How the functions of a library are compiled."""

    name: str
    targets: tuple[Target, ...]
    tile: int | None
    work: Path
    tools: Toolchain

    def label(self, entry: Entry, target: Target, points: int) -> str:
        """The prefix of a program's files and symbols."""
        return f"{self.name}_{target.label}_{entry.kind}_{points}"

    def tiles(self, entry: Entry, flops: int) -> list[tuple[Target, tuple[int, ...]]]:
        """The sizes to compile for each target: several, to choose from, only for the best target."""
        sizes = candidates(entry, flops) if self.tile is None else (self.tile,)
        return [(target, sizes if target == self.targets[-1] else sizes[:1]) for target in self.targets]


def compile_functions(
    source: Differentiable, entries: tuple[Entry, ...], plan: CompilationPlan, progress: Progress
) -> tuple[CompiledFunction, ...]:
    """Every entry, compiled for every target of the plan, with the tiles chosen.

    Raises:
        UnsupportedModelError: a layer or op that can't be compiled, before anything is.
        CompilerError: the compiler failed, or its output isn't understood.
    """
    jobs, chosen = [], []
    for entry in entries:
        steps: list[PlanStep] = []
        graphs = {1: _graph(source, entry, 1, steps)}
        flops = product_flops(graphs[1].graph, graphs[1].inputs.values())
        tiles = plan.tiles(entry, flops) if _widens(source, graphs[1]) else [(target, ()) for target in plan.targets]
        chosen.append((entry, flops, tiles, tuple(steps)))
        graphs |= {n: _graph(source, entry, n) for n in {n for _, sizes in tiles for n in sizes}}
        for target, sizes in tiles:
            padded = {n: pad_products(graphs[n], target.vector_bytes) for n in (1, *sizes)}
            jobs += [prepare(plan.work, plan.label(entry, target, n), graph, target) for n, graph in padded.items()]
    compile_jobs(plan.work, jobs, lambda label: progress(f"compiling {label}"))
    for job in jobs:
        check_object(plan.work / f"{job.name}.o")
    progress("choosing tiles")
    ways = PackedWays()
    return tuple(
        CompiledFunction(entry, tuple(_pair(entry, target, sizes, plan, ways) for target, sizes in tiles), flops, steps)
        for entry, flops, tiles, steps in chosen
    )


def _widens(source: Differentiable, one: FrozenGraph) -> bool:
    """Whether several points are worth a program of their own.

    A function of one sample that branches or loops isn't: each point would go through all branches, and as many rounds
    as the slowest.
    """
    return source.batched or not has_control_flow(one.graph)


def _pair(entry: Entry, target: Target, sizes: tuple[int, ...], plan: CompilationPlan, ways: PackedWays) -> Pair:
    prefix = f"{plan.name}_{target.label}_"
    one = read_program(plan.work, plan.label(entry, target, 1), prefix, ways)
    tiles = [(n, read_program(plan.work, plan.label(entry, target, n), prefix, ways)) for n in sizes]
    if not tiles:
        return Pair(one, one, 1)
    pairs = tuple(Pair(one, program, points) for points, program in tiles)
    if plan.tile is None and worth_single_points(tiles[0][1]):
        pairs += (Pair(one, one, 1),)
    return fastest(CompiledFunction(entry, pairs), target, plan.work, plan.tools)


def _graph(source: Differentiable, entry: Entry, points: int, log: list[PlanStep] | None = None) -> FrozenGraph:
    frozen = freeze(exported(source, entry, log), argument_specs(entry, points))
    audit_native(frozen.graph, source.layer_names, source.name)
    return replace(frozen, graph=canonicalize(frozen.graph))


def read_program(work: Path, label: str, prefix: str = "", ways: PackedWays | None = None) -> Program:
    """The program that the compiler wrote under ``label``, with its constants.

    Args:
        work: the folder.
        label: prefix of the files.
        prefix: what the names of its product kernels begin with.
        ways: how weights are packed in the library's other programs.

    Raises:
        CompilerError: there is none, or it isn't understood.
    """
    header = work / f"{label}.h"
    if not header.exists():
        raise CompilerError("the graph compiler wrote nothing", subject=label, expected=header.name)
    program = read_header(header.read_text(), label)
    numbers = [i for i, buffer in enumerate(program.buffers) if buffer.kind == "constant"]
    constants = work / f"{label}_constants.o"
    contents = read_constants(constants.read_bytes() if constants.exists() else b"", label)
    if [len(content) for content in contents] != [program.buffers[i].size for i in numbers]:
        raise CompilerError("the compiler's constants don't fit its list of buffers", subject=label)
    return with_products(replace(program, constants=dict(zip(numbers, contents, strict=True)), prefix=prefix), ways)
