"""What Fortran makes different from C: names without case, of at most 63 letters, and lines of at most 132."""

from __future__ import annotations

from collections.abc import Collection, Iterable

_NAME_LETTERS, _LINE_LETTERS = 63, 132


def fortran_names(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """A Fortran name for each C name: the same, but cut to 63 letters, and numbered where Fortran has it already.

    Args:
        names: identifiers of C, all different.
        taken: names that can't be used, in lower case.
    """
    used, found = set(taken), {}
    for name in names:
        found[name] = _unused(name, used)
        used.add(found[name].lower())
    return found


def fold(text: str) -> str:
    """Free-form source whose lines fit; comments are left as they are."""
    return "".join(_fold_line(line) for line in text.splitlines(keepends=True))


def _unused(name: str, used: Collection[str]) -> str:
    candidate, number = name[:_NAME_LETTERS], 1
    while candidate.lower() in used:
        number += 1
        suffix = f"_{number}"
        candidate = name[: _NAME_LETTERS - len(suffix)] + suffix
    return candidate


def _fold_line(line: str) -> str:
    if line.lstrip().startswith("!"):
        return line
    parts = []
    while len(line.rstrip("\n")) > _LINE_LETTERS:
        # Between two & even a name or a string goes on; behind a comma it reads better.
        comma = line.rfind(", ", 40, _LINE_LETTERS - 2)
        end = comma + 2 if comma > 0 else _LINE_LETTERS - 1
        parts.append(line[:end] + "&\n")
        line = "      &" + line[end:]
    return "".join([*parts, line])
