"""Fill the templates that come with tosmon. No template ever comes from a user, and HTML is always escaped."""

from __future__ import annotations

import textwrap
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tosmon.model import Direction, EditKind
from tosmon.publish import style
from tosmon.publish.marks import runs_html, runs_text
from tosmon.publish.told import Side
from tosmon.publish.words import day

WIDTH = 76


def wrapped(text: str, indent: str = "") -> str:
    """Text in lines of at most 76 signs, each indented; addresses and very long words stay whole."""
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def said(side: Side) -> str:
    """`Now (3. Your content): “We may {+also+} use …”`, wrapped under its label."""
    place = f" ({side.place})" if side.place else ""
    words = runs_text(side.runs, marks=not side.whole)
    return textwrap.fill(
        f"{side.label}{place}: “{words}”",
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


@cache
def template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tosmon.publish"),
        autoescape=lambda name: name is None or not name.endswith(".txt"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        light=style.LIGHT,
        dark=style.DARK,
        sans=style.SANS,
        serif=style.SERIF,
        directions=list(Direction),
        runs_html=runs_html,
        wrapped=wrapped,
        said=said,
        day=day,
        REMOVED=EditKind.REMOVED,
    )
    return environment
