"""Add a document to a configuration file as a careful person would: new lines in the right place, all else untouched.

A round trip through a YAML writer would reformat what it does not need to touch, and move comments that stand between
sections; so the lines are inserted by the places of what is there, and the result is read again before it is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tosmon.config.problems import InvalidConfig
from tosmon.config.written import read_yaml
from tosmon.errors import ConfigError

_PLAIN = re.compile(r"https?://[\w.~/?=&%+@:-]*[\w/=]|[A-Za-z][\w .()'-]*[\w.)]", re.ASCII)
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class NewTerms:
    """A document to add. An empty `name` is that of the key; `select` empty: tosmon finds the text by itself."""

    service: str
    type: str
    url: str
    name: str = ""
    select: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    browser: bool = False


def with_terms(text: str, new: NewTerms) -> str:
    """The configuration with that document in it, under its service if that is there already.

    Raises InvalidConfig when the text is no YAML, and ConfigError, with the lines to add by hand, when it is written
    in a way that this cannot add to (all on one line, an alias instead of a list).
    """
    before = read_yaml(text).values
    lines = text.split("\n")
    root = YAML(typ="safe", pure=True).compose(text)
    try:
        place = _place(root, new, lines)
    except _CannotAdd as error:
        raise _by_hand(new) from error
    inserted = place.block(new)
    if place.parted:
        inserted = ["", *inserted]
    changed = "\n".join([*lines[: place.line], *inserted, *lines[place.line :]])
    try:
        after = read_yaml(changed).values
    except InvalidConfig as error:
        raise _by_hand(new) from error
    if _without_services(before) != _without_services(after) or _count(after) != _count(before) + 1:
        raise _by_hand(new)
    return changed if changed.endswith("\n") else changed + "\n"


class _CannotAdd(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to insert (before the line of that number, from 0), at which depth, and in which form."""

    line: int
    column: int
    form: str
    parted: bool = False

    def block(self, new: NewTerms) -> list[str]:
        pad = " " * self.column
        match self.form:
            case "services":
                made = ["services:", *_indented(_service(new), 2)]
            case "service item":
                made = _service(new)
            case "service key":
                made = _service_by_key(new)
            case "terms":
                made = ["terms:", *_indented(_listed(_terms(new)), 2)]
            case "terms key":
                kind, *rest = _terms(new)
                made = [f"{kind.removeprefix('type: ')}:", *_indented(rest, 2)]
            case _:
                made = _listed(_terms(new))
        return [pad + line for line in made]


def _place(root: Node | None, new: NewTerms, lines: Sequence[str]) -> _Place:
    end = len(lines) - 1 if lines and not lines[-1].strip() else len(lines)
    if root is None:
        return _Place(end, 0, "services", parted=end > 0)
    services = _value(root, "services")
    if not isinstance(root, MappingNode) or root.flow_style:
        raise _CannotAdd
    if services is None:
        return _Place(end, 0, "services", parted=True)
    if isinstance(services, ScalarNode) and services.value.strip() in ("", "~", "null"):
        line = next(int(name.start_mark.line) for name, value in root.value if value is services)
        return _Place(line + 1, 2, "service item")
    if not isinstance(services, MappingNode | SequenceNode) or services.flow_style:
        raise _CannotAdd
    service = _service_node(services, new.service)
    if service is None:
        last = services.value[-1][0] if isinstance(services, MappingNode) else services.value[-1]
        parted = last.start_mark.line > 0 and not lines[last.start_mark.line - 1].strip()
        form = "service key" if isinstance(services, MappingNode) else "service item"
        return _Place(_end(services), services.start_mark.column, form, parted)
    return _place_in_service(service)


def _place_in_service(service: Node) -> _Place:
    if not isinstance(service, MappingNode) or service.flow_style:
        raise _CannotAdd
    terms = _value(service, "terms")
    if terms is None:
        return _Place(_end(service), service.start_mark.column, "terms")
    if not isinstance(terms, MappingNode | SequenceNode) or terms.flow_style:
        raise _CannotAdd
    form = "terms key" if isinstance(terms, MappingNode) else "terms item"
    return _Place(_end(terms), terms.start_mark.column, form)


def _service_node(services: Node, key: str) -> Node | None:
    if isinstance(services, MappingNode):
        return _value(services, key)
    for service in services.value:
        written = _value(service, "key")
        if written is not None and str(written.value).strip() == key:
            return cast("Node", service)
    return None


def _value(node: Node, key: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in node.value if getattr(name, "value", None) == key), None)


def _end(node: Node) -> int:
    """The number of the line after the last one with something of the node on it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        children = node.value if isinstance(node, SequenceNode) else [child for pair in node.value for child in pair]
        return max(_end(child) for child in children)
    mark = node.end_mark
    return int(mark.line) if mark.column == 0 and mark.line > node.start_mark.line else int(mark.line) + 1


# --- how it is written ----------------------------------------------------------------------------------------------


def _service(new: NewTerms) -> list[str]:
    return _listed([f"key: {_scalar(new.service)}", *_service_rest(new)])


def _service_by_key(new: NewTerms) -> list[str]:
    return [f"{_scalar(new.service)}:", *_indented(_service_rest(new), 2)]


def _service_rest(new: NewTerms) -> list[str]:
    name = [f"name: {_scalar(new.name)}"] if new.name and new.name != new.service else []
    return [*name, "terms:", *_indented(_listed(_terms(new)), 2)]


def _terms(new: NewTerms) -> list[str]:
    made = [f"type: {_scalar(new.type)}", f"url: {_scalar(new.url)}"]
    for setting, values in (("select", new.select), ("remove", new.remove), ("tags", new.tags)):
        if values:
            shown = [quoted(value) if setting != "tags" else _scalar(value) for value in values]
            made.append(f"{setting}: {shown[0] if len(shown) == 1 else '[' + ', '.join(shown) + ']'}")
    return [*made, "browser: true"] if new.browser else made


def _listed(lines: Sequence[str]) -> list[str]:
    return [("- " if number == 0 else "  ") + line for number, line in enumerate(lines)]


def _indented(lines: Sequence[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML else quoted(text)


def quoted(text: str) -> str:
    """The text as YAML cannot misread it."""
    return json.dumps(text, ensure_ascii=False)


# --- what must not have changed ----------------------------------------------------------------------------------------


def _without_services(values: object) -> object:
    return {key: value for key, value in values.items() if key != "services"} if isinstance(values, dict) else values


def _count(values: object) -> int:
    services = values.get("services") if isinstance(values, dict) else None
    bodies = list(services.values()) if isinstance(services, dict) else services or []
    return sum(len(body.get("terms") or []) for body in bodies if isinstance(body, dict))


def _by_hand(new: NewTerms) -> ConfigError:
    lines = "\n".join(_indented(["services:", *_indented(_service(new), 2)], 2))
    return ConfigError(f"this configuration is written in a way that tosmon cannot add to; add by hand:\n{lines}")
