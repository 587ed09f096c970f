"""The output of a command: results on standard output, progress on standard error.

Also the import of TensorFlow, without the lines that it prints before its own logging is set up.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A spinner with the current step, on a terminal only."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        yield status.update


def print_fields(facts: Mapping[str, str]) -> None:
    """Prints names and values, aligned."""
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(f"[bold]{name}[/bold]", escape(value))
    Console().print(grid)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table with a line under its head."""
    drawn = Table(*columns, box=None, header_style="bold", padding=(0, 2))
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)


def print_lines(text: str) -> None:
    """Prints text as it is; on a terminal, long lines are cut at its edge."""
    console = Console(highlight=False)
    for line in text.splitlines():
        cut = console.is_terminal and len(line) > console.width
        click.echo(f"{line[: console.width - 1]}…" if cut else line)


def print_success(text: str) -> None:
    """Prints the last line of a command that did its job."""
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras; their output is shown only where the import fails."""
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import keras
            import tensorflow as tf

            # TensorFlow looks for devices at the first use, and prints then, too.
            tf.config.list_physical_devices()
            keras.config.floatx()
        except BaseException:
            os.dup2(kept, 2)
            printed.seek(0)
            sys.stderr.write(printed.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
