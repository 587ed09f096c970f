"""The files in the ``templates/`` folders of ``export`` and ``report``, as they are or filled in by Jinja."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import jinja2

Owner = Literal["export", "report"]


@cache
def template(owner: Owner, name: str) -> str:
    """The text of a file in ``templates/`` of a folder of this package."""
    return resources.files(__package__).joinpath(owner, "templates", name).read_text(encoding="utf-8")


def render_text(name: str, context: Mapping[str, Any]) -> str:
    """A template of ``export`` with its names filled in; a missing name is an error."""
    return _text_environment().from_string(template("export", name)).render(context)


def render_page(name: str, context: Mapping[str, Any]) -> str:
    """A template of ``report`` with its names filled in and escaped: any name of a layer is text."""
    return _page_environment().get_template(name).render(context)


@cache
def _text_environment() -> jinja2.Environment:
    return jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )


@cache
def _page_environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: template("report", name)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
