"""``report`` and ``write_report``: a page on a model's derivatives, in one HTML file.

A file appears whole or not at all: it is written beside its place, then renamed.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputFileError, SignatureError, TfGradKitError
from ..sources.resolve import resolve
from ..templates import render_page, template
from ..version import __version__
from .context import Context, Progress
from .page_parts import Map, PageSection, problem
from .report_points import Limits
from .sections import cost_sections, diagnosis_sections, jacobian_sections, model_sections

# The text in every earlier report; a file without it is never replaced.
MARKER = '<meta name="generator" content="tfgradkit report'
SECTIONS: tuple[tuple[str, str, Callable[[Context], PageSection]], ...] = (
    ("model", "The model", model_sections.model_section),
    ("jacobian", "Jacobian", jacobian_sections.jacobian_section),
    ("structure", "Structure", model_sections.structure_section),
    ("singular", "Singular values", jacobian_sections.singular_section),
    ("check", "Gradient check", diagnosis_sections.check_section),
    ("explain", "Connections", diagnosis_sections.explain_section),
    ("audit", "Audit", diagnosis_sections.audit_section),
    ("independence", "Samples of a batch", diagnosis_sections.independence_section),
    ("graph", "Gradient graph", model_sections.graph_section),
    ("cost", "Cost of each strategy", cost_sections.cost_section),
    ("parity", "Exported forms", cost_sections.parity_section),
)


def report(
    fn: Any,
    *arguments: Any,
    batched: bool | None = None,
    ranges: Mapping[str, Any] | None = None,
    library: str | os.PathLike[str] | None = None,
    title: str | None = None,
    limits: Limits | None = None,
    progress: Progress = lambda step: None,
) -> str:
    """A page on the derivatives of a model: one HTML text that needs nothing else, and no network.

    A section that can't be made says why, in its place. Large models are sampled; what is left out is stated.

    Args:
        fn: a Keras model or layer, a function, or what :func:`~tfgradkit.load` returned.
        arguments: where to look at it: ``[B] + x`` each where it is batched, else one point. Drawn at
            random if left out, seeded: in ``ranges``; else in those of ``library``; else where the model's first
            layer brings its input to the size of 1 (Rescaling, Normalization); else standard normal.
        batched: as for an operator.
        ranges: ``(low, high)`` by the name of an input, each shaped like one sample, or a number.
        library: a folder that :func:`~tfgradkit.export_native` wrote, to compare with the model.
        title: of the page; the model's name, if None.
        limits: how much of a large model is looked at.
        progress: told what is being done.

    Returns:
        The HTML text.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: arguments that it doesn't take, none for a function without specs, or a wrong range.

    Example:
        >>> html = tgk.report.report(model, title="Equation of state")  # doctest: +SKIP
    """
    source = resolve(fn, batched=batched)
    folder = None if library is None else Path(library)
    context = Context(fn, source, arguments, ranges or {}, folder, limits or Limits(), progress)
    _check(context, ranges or {})
    sections = list(_sections(context))
    progress("drawing")
    return _page(title or source.name, sections)


def write_report(
    fn: Any, path: str | os.PathLike[str], *arguments: Any, overwrite: bool = False, **keywords: Any
) -> Path:
    """Writes :func:`report` to the file ``path``; it is there whole, or not at all.

    Args:
        fn: a Keras model or layer, a function, or what :func:`~tfgradkit.load` returned.
        path: must not exist.
        arguments: where to look at it, as for :func:`report`.
        overwrite: whether an earlier report is replaced; nothing else ever is.
        keywords: of :func:`report`: ``batched``, ``ranges``, ``library``, ``title``, ``limits``, ``progress``.

    Returns:
        The file's path.

    Raises:
        OutputFileError: the file exists, or can't be written; said before anything is computed.
        SourceError: ``fn`` is no function or model.
        SignatureError: arguments that it doesn't take, none for a function without specs, or a wrong range.

    Example:
        >>> tgk.report.write_report(model, "report.html")  # doctest: +SKIP
    """
    return write_page(path, lambda: report(fn, *arguments, **keywords), overwrite=overwrite)


def _check(context: Context, ranges: Mapping[str, Any]) -> None:
    """Raises the errors of the call itself, which are no section of the page."""
    context.points  # noqa: B018
    if unknown := sorted(set(ranges) - set(context.input_names)):
        raise SignatureError(
            "a range is given for an unknown input", expected=" | ".join(context.input_names), got=unknown[0]
        )


def _sections(context: Context) -> Iterator[PageSection]:
    for name, title, make in SECTIONS:
        context.step(title.lower())
        try:
            yield make(context)
        except TfGradKitError as error:
            why = problem("This can't be had for this model", error)
            yield PageSection(name, title, (why,), "not available", failed=True)
        except Exception as error:  # a user's model may raise anything; the other sections are still worth having
            yield PageSection(name, title, (problem("This failed", error),), "failed", "attention", failed=True)


def _page(title: str, sections: list[PageSection]) -> str:
    script = template("report", "zoom.js")
    return render_page(
        "page.html",
        {
            "title": title,
            "sections": sections,
            "style": render_page("style.css", {}),
            "script": script,
            "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            "version": __version__,
            "footer": _footer(),
            "map_paths": map_paths,
        },
    )


def _footer() -> str:
    versions = []
    for name in ("tensorflow", "keras"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"Made on {day} by tfgradkit {__version__} with {', '.join(versions)}."


def map_paths(drawn: Map) -> list[tuple[str, str]]:
    """The cells of a large map as one path for each of its 21 shades, by class; white cells are left out."""
    shades = np.asarray(drawn.shades)
    levels = np.where(np.isnan(shades), 99, np.round(np.nan_to_num(shades) * 10)).astype(int)
    paths = []
    for level in np.unique(levels[levels != 0]):
        name = "nan" if level == 99 else f"{'p' if level > 0 else 'n'}{abs(level)}"
        places = zip(*np.nonzero(levels == level), strict=True)
        paths.append((name, "".join(f"M{column} {row}h1v1h-1z" for row, column in places)))
    return paths


def write_page(path: str | os.PathLike[str], make: Callable[[], str], *, overwrite: bool) -> Path:
    """Writes the page that ``make`` returns; ``make`` is not called where the file can't be written.

    Args:
        path: must not exist, or with ``overwrite`` be an earlier report.
        make: returns the page.
        overwrite: whether an earlier report is replaced.

    Raises:
        OutputFileError: ``path`` can't be used; nothing is written.
    """
    if not os.fspath(path):
        raise OutputFileError("the output file has no name", expected="a path", got="''")
    target = Path(os.path.abspath(path))
    _check_free(target, overwrite)
    _try_folder(target)
    text = make()
    beside = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}-", delete=False
        ) as file:
            beside = Path(file.name)
            file.write(text)
        beside.chmod(0o644)
        _check_free(target, overwrite)
        beside.rename(target)
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputFileError("the output file can't be written", subject=target, got=error.strerror) from error
        raise
    return target


def _try_folder(target: Path) -> None:
    """Raises :class:`OutputFileError` before a minute of work where the folder takes no file."""
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise OutputFileError(
            "the output file can't be written",
            subject=target,
            expected="a folder that exists and can be written",
            got=error.strerror,
        ) from error


def _check_free(target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_file():
        raise OutputFileError(
            "the output file can't be written", subject=target, expected="no such path", got="a folder or a link"
        )
    if not overwrite:
        raise OutputFileError(
            "the output file exists",
            subject=target,
            expected="no such path",
            hint="choose another file, or overwrite=True (--overwrite) to replace an earlier report",
        )
    if not _is_report(target):
        raise OutputFileError(
            "the output file is something else than an earlier report, so it is left alone",
            subject=target,
            hint="choose another file",
        )


def _is_report(target: Path) -> bool:
    try:
        with target.open(encoding="utf-8", errors="replace") as file:
            return MARKER in file.read(2000)
    except OSError:
        return False
