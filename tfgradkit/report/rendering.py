"""The files in ``templates/``, filled in by Jinja; whatever a model calls its layers, it is text in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2


@cache
def template(name: str) -> str:
    """The text of a file in ``templates/``."""
    return resources.files("tfgradkit.report").joinpath("templates", name).read_text(encoding="utf-8")


def render(name: str, context: Mapping[str, Any]) -> str:
    """A template with its names filled in and escaped; one that is missing is an error."""
    return _environment().get_template(name).render(context)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
