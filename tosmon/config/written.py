"""Read a configuration as it is written: YAML to plain values, with the line of each, or what is wrong and where.

YAML of strangers can be a trap (an alias that doubles forty times, ten thousand open brackets), and a key written
twice silently loses one of the two: all of it is refused here, before anything is made of the values.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tosmon.config.problems import InvalidConfig, Place, Problem

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_VALUES = 200_000
"""How many values a configuration may hold once its aliases are written out; 5,000 documents need about 40,000."""

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Written:
    """The values of a configuration file, and where each of them stands."""

    values: object
    root: Node | None = None

    def line(self, place: Place) -> int | None:
        """The line (from 1) of that place, or of the nearest one around it that is written."""
        if self.root is None:
            return None
        node = self.root
        for part in place:
            inner = _inner(node, part)
            if inner is None:
                break
            node = inner
        return int(node.start_mark.line) + 1


def read_yaml(text: str) -> Written:
    """Read one YAML document (1.2, safe tags only). Raises InvalidConfig naming the line and what was expected."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidConfig.of(
            Problem("the file", f"expected at most {MAX_CHARACTERS:,} characters, got {len(text):,}")
        )
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
        if root is None:
            return Written({})
        _refuse_bombs(root)
        _refuse_doubles(root)
        return Written(yaml.constructor.construct_document(root), root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        told = str(error.problem or error.context or "broken YAML").split("\n")[0].rstrip("- ")
        raise InvalidConfig.of(Problem(f"line {line}" if line else "the file", f"not YAML: {told}")) from error
    except YAMLError as error:
        raise InvalidConfig.of(Problem("the file", "not YAML: " + str(error).split("\n")[0])) from error
    except RecursionError as error:
        raise InvalidConfig.of(Problem("the file", "not usable: brackets or lists are nested too deeply")) from error


def _inner(node: Node, part: Hashable) -> Node | None:
    if isinstance(node, SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(node, MappingNode):
        if isinstance(part, int):
            return node.value[part][1] if part < len(node.value) else None
        return next((value for key, value in node.value if getattr(key, "value", None) == part), None)
    return None


def _children(node: Node) -> Sequence[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _refuse_bombs(root: Node) -> None:
    """Count the values as if each alias were written out, without writing them out."""
    sizes: dict[int, int] = {}
    being_counted: set[int] = set()

    def size(node: Node) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in being_counted:
            raise InvalidConfig.of(
                Problem(f"line {node.start_mark.line + 1}", "an alias (*) stands inside its own anchor")
            )
        being_counted.add(id(node))
        total = 1 + sum(size(child) for child in _children(node))
        being_counted.discard(id(node))
        sizes[id(node)] = total
        return total

    total = size(root)
    if total > MAX_VALUES:
        raise InvalidConfig.of(
            Problem("the file", f"expected at most {MAX_VALUES:,} values, aliases (*) written out, got {total:,}")
        )


def _refuse_doubles(root: Node) -> None:
    problems = []
    seen: set[int] = set()
    waiting: list[tuple[Place, Node]] = [((), root)]
    while waiting:
        place, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting.extend(((*place, index), child) for index, child in enumerate(node.value))
        if isinstance(node, MappingNode):
            first_lines: dict[str, int] = {}
            for key, value in node.value:
                if not isinstance(key, ScalarNode) or key.tag == _MERGE:
                    continue
                here = (*place, str(key.value))
                line = int(key.start_mark.line) + 1
                first = first_lines.setdefault(str(key.value), line)
                if first != line:
                    problems.append(
                        Problem.at(here, f"written twice, on lines {first} and {line}; keep one", line=line)
                    )
                waiting.append((here, value))
    if problems:
        raise InvalidConfig.of(*sorted(problems, key=lambda problem: problem.line or 0))
