"""Reads a compiled function as plain records from the C++ header that the compiler writes.

The header spells out, as C++ for the stock run time, which kernels, copies, products and so on run in which order, and
on which slices of which buffers. Each step begins with a comment that names its kind, followed by a block in braces;
the block of a loop or branch holds steps of its own. Text that isn't understood is an error, and never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ....errors import CompilerError
from .compiled_program import (
    Branch,
    Buffer,
    Convolution,
    Copy,
    Dot,
    For,
    KernelCall,
    Program,
    ProgramStep,
    Slice,
    Sort,
    TopK,
    While,
)

# 3 is the memory of one thread; every call has a workspace of its own anyway.
_KINDS = {0: "constant", 1: "temporary", 2: "port", 3: "temporary"}
_POINTER = r"reinterpret_cast<std::byte\*>\(buffer_table\[(\d+)\]\) \+ (\d+)"
# The same number as in templates/engine.h.
MAX_SORTED = 4
_BYTES = {"float": 4, "double": 8}
# Where a step was inside another one, in the text of the outer one.
_INNER = r"@(\d+)@"


def read_header(text: str, name: str) -> Program:
    """The program that a header describes, without the contents of its constants.

    Raises:
        CompilerError: the header has a form, or the program a step, that isn't known.
    """
    results = _indices(text, "kResultIndexToBufferIndex")
    arguments = _indices(text, "kArgIndexToBufferIndex")
    return Program(
        name=name,
        buffers=_buffers(text),
        steps=_steps(text),
        arguments=dict(zip(_names(text, "StaticArgNames"), arguments, strict=True)),
        results=dict(zip(_names(text, "StaticResultNames"), results, strict=True)),
    )


def _find(pattern: str, text: str, part: str) -> re.Match[str]:
    """The match of a pattern that the header must have; ``part`` names it in the error."""
    match = re.search(pattern, text, re.DOTALL)
    if match is None:
        raise CompilerError(
            "the compiler's header has a form that isn't known",
            subject=part,
            hint="tfgradkit reads the headers of TensorFlow 2.21: check the installed version",
        )
    return match


def _indices(text: str, table: str) -> list[int]:
    body = _find(rf"{table}\[\w+\] = \{{(.*?)\}};", text, table).group(1)
    return [int(number) for number in re.findall(r"\d+", body)]


def _names(text: str, function: str) -> list[str]:
    body = _find(rf"{function}\(\) \{{.*?= \{{(.*?)nullptr\}};", text, function).group(1)
    return re.findall(r'"([^"]*)"', body)


def _buffers(text: str) -> tuple[Buffer, ...]:
    infos = re.findall(r"EncodedBufferAllocationInfo\{(\d+)ULL, ~?\d+U, ~?\d+U\}", text)
    kinds = [int(info) & 3 for info in infos]
    if not infos or any(kind not in _KINDS for kind in kinds):
        raise CompilerError("the compiler's table of buffers has a form that isn't known", got=infos[:8])
    return tuple(Buffer(_KINDS[kind], int(info) >> 2) for kind, info in zip(kinds, infos, strict=True))


@dataclass(frozen=True)
class _Block:
    """A step's text, with a mark in place of each of the steps inside it."""

    kind: str
    text: str
    inner: tuple[_Block, ...]


def _steps(text: str) -> tuple[ProgramStep, ...]:
    body = _find(r"ThunkRunImplFunction\(\) \{(.*?)\n      return true;", text, "ThunkRunImplFunction").group(1)
    rest, blocks = _blocks(body)
    # Around the steps there is only the signature of the function that holds them.
    if "buffer_table[" in rest:
        raise CompilerError("the compiler's list of steps has a form that isn't known", got=rest.strip()[-200:])
    return _read_all(blocks)


def _blocks(text: str) -> tuple[str, tuple[_Block, ...]]:
    """``text`` with marks in place of the steps in it, and these steps."""
    rest, end = "", 0
    blocks: list[_Block] = []
    for match in re.finditer(r"// (\w[\w ]*) Thunk\n\s*\{", text):
        if match.start() < end:
            continue  # inside the step before
        rest += text[end : match.start()] + f"@{len(blocks)}@"
        end = _closing(text, match.end())
        blocks.append(_Block(match.group(1), *_blocks(text[match.end() : end - 1])))
    return rest + text[end:], tuple(blocks)


def _closing(text: str, start: int) -> int:
    """The place behind the brace that closes the block whose text begins at ``start``."""
    depth = 1
    for brace in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.end()
    raise CompilerError("the compiler's list of steps has a form that isn't known", got=text[start : start + 200])


def _read_all(blocks: tuple[_Block, ...]) -> tuple[ProgramStep, ...]:
    return tuple(step for block in blocks for step in _step(block))


def _step(block: _Block) -> tuple[ProgramStep, ...]:
    if block.kind not in _READERS:
        raise CompilerError(
            "the compiled model needs a step that the C library doesn't have",
            subject=block.kind,
            expected=", ".join(_READERS),
            hint="export the part of the model around it, or export_saved_model",
        )
    reader, leaf = _READERS[block.kind]
    steps = reader(block)
    own = steps[-1].slices if block.kind != "Call" else ()
    marks = len(re.findall(_INNER, block.text))
    if block.text.count("buffer_table[") != len(own) or marks != len(block.inner) or (leaf and block.inner):
        raise CompilerError(
            "a step has arguments of a form that isn't known", subject=block.kind, got=block.text.strip()[:500]
        )
    return steps


def _kernel(block: _Block) -> tuple[KernelCall]:
    text = block.text
    slices = re.findall(rf"XLA_CPU_KernelArg\{{{_POINTER}, (\d+)\}}", text)
    groups = _find(r"kernel_thread_dims = \{\s*(\d+),\s*(\d+),\s*(\d+),?\s*\}", text, "work groups")
    symbol = _find(r"error = \(\*(\w+)\)\(&call_frame\)", text, "kernel call").group(1)
    x, y, z = (int(n) for n in groups.groups())
    return (KernelCall(symbol, (x, y, z), tuple(Slice(int(b), int(o), int(size)) for b, o, size in slices)),)


def _copy(block: _Block) -> tuple[Copy]:
    size = int(_find(r", (\d+)\);", block.text, "copy").group(1))
    destination, source = _sliced(block.text, [size, size])
    return (Copy(destination, source),)


def _sliced(text: str, sizes: list[int]) -> list[Slice]:
    """A slice of each size for the pointers in ``text``."""
    pointers = re.findall(_POINTER, text)
    if len(pointers) != len(sizes):
        raise CompilerError("a step has arguments of a form that isn't known", got=text.strip()[:500])
    return [Slice(int(b), int(o), size) for (b, o), size in zip(pointers, sizes, strict=True)]


def _number_bytes(dtype: str, step: str) -> int:
    if dtype not in _BYTES:
        raise CompilerError(f"a {step} has a dtype that isn't supported", expected=", ".join(_BYTES), got=dtype)
    return _BYTES[dtype]


def _dot(block: _Block) -> tuple[Dot]:
    text = block.text
    dtype = _find(r"TypedMatMul<([^,]+),", text, "matrix product").group(1)
    number = _number_bytes(dtype, "matrix product")
    batch = int(_find(r"i < (\d+);", text, "matrix product").group(1))
    numbers = _find(r"(\d+), (\d+), (\d+), (true|false), (true|false),", text, "matrix product").groups()
    m, n, k = (int(size) for size in numbers[:3])
    counts = [m * n, m * k, k * n]
    if [int(stride) for stride in re.findall(r"\+ (\d+) \* i,", text)] != counts:
        raise CompilerError("the matrices of a batch of products don't lie one behind the other", got=text.strip())
    out, lhs, rhs = _sliced(text, [batch * count * number for count in counts])
    return (Dot(dtype, out, lhs, rhs, batch, m, n, k, numbers[3] == "true", numbers[4] == "true"),)


def _convolution(block: _Block) -> tuple[Convolution]:
    dtype = _find(r"EigenConv2D<([^>]+)>", block.text, "convolution").group(1)
    number = _number_bytes(dtype, "convolution")
    listed = _find(r"((?:\d+,\s*){20}\d+),\s*\[&done\]", block.text, "convolution").group(1)
    n = [int(size) for size in listed.split(",")]
    batch, image, channels, kernel, kernel_channels, filters = n[0], n[1:3], n[3], n[4:6], n[6], n[7]
    out, (top, _, left, _) = n[8:10], n[12:16]
    image_count, kernel_count = (
        batch * image[0] * image[1] * channels,
        kernel[0] * kernel[1] * kernel_channels * filters,
    )
    counts = [batch * out[0] * out[1] * filters, image_count, kernel_count]
    result, source, weights = _sliced(block.text, [count * number for count in counts])
    return (
        Convolution(
            (result, source, weights), batch, (image[0], image[1]), channels, (kernel[0], kernel[1]), kernel_channels,
            filters, (out[0], out[1]), (n[10], n[11]), (top, left), (n[16], n[17]), (n[18], n[19]), n[20],
        ),
    )  # fmt: skip


def _sort(block: _Block) -> tuple[Sort]:
    text = block.text
    sizes = [int(n) for n in re.findall(r"\d+", _find(r"primitive_sizes = \{(.*?)\};", text, "sort").group(1))]
    if len(sizes) > MAX_SORTED:
        raise CompilerError(
            "a sort of so many arrays together is not supported", expected=f"at most {MAX_SORTED}", got=len(sizes)
        )
    shape = _find(r"SortInplace\(\s*\{\s*(\d+),\s*(\d+),\s*(\d+)\s*\}", text, "sort").groups()
    comparator = _find(r"reinterpret_cast<Comparator\*>\(\s*(\w+)\)", text, "sort").group(1)
    outer, middle, inner = (int(n) for n in shape)
    count = outer * middle * inner
    arrays = tuple(_sliced(text, [count * size for size in sizes]))
    return (Sort(arrays, tuple(sizes), (outer, middle, inner), comparator),)


def _top_k(block: _Block) -> tuple[TopK]:
    rows, columns, k = (int(n) for n in _find(r"TopK\((\d+), (\d+), (\d+),", block.text, "TopK").groups())
    values, largest, places = _sliced(block.text, [4 * rows * columns, 4 * rows * k, 4 * rows * k])
    return (TopK((values, largest, places), rows, columns, k),)


def _while(block: _Block) -> tuple[ProgramStep, ...]:
    """The condition's steps, and the loop: each round ends with the condition's steps."""
    condition, body = re.split(rf"while \(\*reinterpret_cast<bool\*>\({_POINTER}\)\) \{{", block.text)[:: _PAIR + 1]
    (flag,) = _sliced(block.text, [1])
    first, rounds = _marked(block, condition), _marked(block, body)
    return (*first, While(flag, rounds))


# The groups of a pointer: the buffer's number and the offset.
_PAIR = 2


def _marked(block: _Block, text: str) -> tuple[ProgramStep, ...]:
    """The steps whose marks are in ``text``, a part of the block's."""
    return _read_all(tuple(block.inner[int(mark)] for mark in re.findall(_INNER, text)))


def _for(block: _Block) -> tuple[For]:
    count = int(_find(r"loop_counter < (\d+);", block.text, "loop").group(1))
    return (For(count, _marked(block, block.text)),)


def _branch(block: _Block) -> tuple[Branch]:
    dtype = _find(r"branch_index = \*reinterpret_cast<(bool|int32_t)\*>", block.text, "branch").group(1)
    parts = re.split(r"case \d+: \{", block.text)[1:]
    count = int(_find(r"branch_index < (\d+)\)", block.text, "branch").group(1))
    if len(parts) != count:
        raise CompilerError("a branch has a form that isn't known", expected=count, got=len(parts))
    (index,) = _sliced(block.text, [1 if dtype == "bool" else 4])
    return (Branch(index, tuple(_marked(block, part) for part in parts)),)


def _call(block: _Block) -> tuple[ProgramStep, ...]:
    return _marked(block, block.text)


# Reader, and whether the step has no other steps inside.
_READERS: dict[str, tuple[Callable[[_Block], tuple[ProgramStep, ...]], bool]] = {
    "Kernel": (_kernel, True),
    "Copy": (_copy, True),
    "Dot": (_dot, True),
    "Convolution": (_convolution, True),
    "Sort": (_sort, True),
    "TopK": (_top_k, True),
    "While Loop": (_while, False),
    "For Loop": (_for, False),
    "Conditional": (_branch, False),
    "Call": (_call, False),
}
