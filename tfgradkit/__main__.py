"""``tfgradkit`` and ``python -m tfgradkit``: the command line."""

from __future__ import annotations

import os
import sys

import click

from .cli.commands import compile_command, export_command, show_command, verify_command
from .cli.diagnosis_commands import audit_command, check_command, explain_command, graph_command, report_command
from .errors import TfGradKitError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tfgradkit")
def cli() -> None:
    """Exact input gradients of Keras models: in Python, in SavedModels, in C libraries without TensorFlow.

    MODEL is a .keras or .h5 file, a SavedModel folder, a TensorFlow 1 .meta or .pb file with
    --inputs and --outputs, or package.module:attribute.
    """
    # TensorFlow reads these when it is imported; a user of a command needs none of its messages about GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


COMMANDS = (
    show_command,
    explain_command,
    audit_command,
    check_command,
    graph_command,
    report_command,
    export_command,
    compile_command,
    verify_command,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Runs a command; exit code 0, 1 for a failed job, 2 for a wrong call."""
    try:
        cli.main(prog_name="tfgradkit")
    except TfGradKitError as error:
        click.echo(f"tfgradkit: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
