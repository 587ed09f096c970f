"""The files in ``templates/``, as they are or filled in by Jinja."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import jinja2


@cache
def template(name: str) -> str:
    """The text of a file in ``templates/``."""
    return resources.files("tfgradkit.export").joinpath("templates", name).read_text()


def render(name: str, context: dict[str, Any]) -> str:
    """A template with its names filled in; one that is missing is an error."""
    return _environment().from_string(template(name)).render(context)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
