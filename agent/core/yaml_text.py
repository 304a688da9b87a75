"""YAML to plain data, with the place of every key and value, so that an error can say where.

YAML 1.2, and stricter than most readers: duplicate keys, tags and recursive anchors are refused, aliases cannot blow
up, `no` is a text, and `012` is the text "012" because a leading zero means something in a version.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from agent.errors import InputError

_MAX_CHARS = 1_000_000
_MAX_NODES = 50_000
_MAX_DEPTH = 50
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAG = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int


class Document(NamedTuple):
    """The data of a YAML text, and where its keys and values are."""

    data: Any
    keys: dict[Path, Place]
    values: dict[Path, Place]
    blocks: set[Path]

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value (or its key) at `path` is; for a path that the text lacks, its nearest ancestor."""
        for end in range(len(path), -1, -1):
            place = (self.keys.get(path[:end]) if key else None) or self.values.get(path[:end])
            if place:
                return place
        return Place(1, 1)

    def place_inside(self, path: Path, text: str, offset: int) -> Place:
        """Where a character of the text at `path` is: its line in a `|` block, else where the text begins."""
        if path not in self.blocks:
            return self.place(path)
        return Place(self.values[path].line + 1 + text[:offset].count("\n"), 1)


def read_yaml(text: str, *, name: str) -> Document:
    """The data of a YAML text.

    Args:
        text: the whole file.
        name: the file's name, for messages.

    Raises:
        InputError: `runbook.malformed_yaml` or `runbook.duplicate_key`, with line and column.
    """
    if len(text) > _MAX_CHARS:
        raise _malformed(name, Place(1, 1), f"the file is longer than {_MAX_CHARS} characters")
    try:
        _refuse_depth(text, name)
        root = YAML(typ="safe", pure=True).compose(text)
        if root is None:
            raise _malformed(name, Place(1, 1), "the file is empty")
        return _Reader(name).read(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise _malformed(name, place, problem) from error
    except RecursionError as error:
        raise _malformed(name, Place(1, 1), "it is nested too deeply") from error
    except (YAMLError, ValueError) as error:
        raise _malformed(name, Place(1, 1), str(error).splitlines()[0]) from error


def _refuse_depth(text: str, name: str) -> None:
    """Stop at the first place that is nested too deeply; to compose it would take time without bounds."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MAX_DEPTH:
            place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
            raise _malformed(name, place, f"it is nested more than {_MAX_DEPTH} deep")


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.blocks: set[Path] = set()
        self.count = 0

    def read(self, root: Node) -> Document:
        return Document(self._value(root, (), ()), self.keys, self.values, self.blocks)

    def _value(self, node: Node, path: Path, above: tuple[Node, ...]) -> Any:  # noqa: ANN401 - whatever the YAML holds
        self.count += 1
        if self.count > _MAX_NODES:
            raise _malformed(self.name, _place(node), f"with its aliases it has more than {_MAX_NODES} values")
        if any(node is outer for outer in above):
            raise _malformed(self.name, _place(node), "an anchor holds itself")
        self.values[path] = _place(node)
        if isinstance(node, ScalarNode):
            if node.style == "|":
                self.blocks.add(path)
            return self._scalar(node)
        if isinstance(node, SequenceNode):
            self._no_tag(node, "seq")
            return [self._value(item, (*path, index), (*above, node)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, path, above)
        raise _malformed(self.name, _place(node), "this is neither a text, a list nor a mapping")

    def _mapping(self, node: MappingNode, path: Path, above: tuple[Node, ...]) -> dict[str, Any]:
        self._no_tag(node, "map")
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise _malformed(self.name, _place(key_node), "a key must be a plain text")
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for source in sources:
                    if not isinstance(source, MappingNode):
                        raise _malformed(self.name, _place(source), "<< takes a mapping, or a list of mappings")
                    merged = self._value(source, path, (*above, node)) | merged
                continue
            if key in own:
                place = _place(key_node)
                raise InputError(
                    f"{self.name}, line {place.line}, column {place.column}: the key {key!r} is given twice",
                    code="runbook.duplicate_key",
                    hint=f"Keep one of them; the first is in line {self.keys[*path, key].line}.",
                    where={"file": self.name, "line": place.line, "column": place.column, "field": _dotted(path, key)},
                )
            self.keys[*path, key] = _place(key_node)
            own[key] = self._value(value_node, (*path, key), (*above, node))
        return merged | own

    def _scalar(self, node: ScalarNode) -> Any:  # noqa: ANN401 - whatever the YAML holds
        raw = str(node.value)
        tag = str(node.tag or "")
        if node.style is not None or tag == f"{_TAG}str":
            self._no_tag(node, "str")
            return raw
        self._no_tag(node, "int", "float", "bool", "null", "timestamp", "value", "merge")
        if raw.lower() in _CONSTANTS:
            return _CONSTANTS[raw.lower()]
        if _INT.fullmatch(raw):
            return int(raw) if len(raw) <= 40 else raw
        return float(raw) if _FLOAT.fullmatch(raw) else raw

    def _no_tag(self, node: Node, *allowed: str) -> None:
        if str(node.tag) not in {f"{_TAG}{tag}" for tag in allowed}:
            raise _malformed(self.name, _place(node), f"the tag {node.tag} is not supported")


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _dotted(path: Path, key: str) -> str:
    return ".".join(str(part) for part in (*path, key))


def _malformed(name: str, place: Place, problem: str) -> InputError:
    return InputError(
        f"{name}, line {place.line}, column {place.column}: this is not valid YAML: {problem}",
        code="runbook.malformed_yaml",
        hint="Look at the indentation and the quotes around this line; a value that holds ': ' or ' #' needs quotes.",
        where={"file": name, "line": place.line, "column": place.column},
    )
