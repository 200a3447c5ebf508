"""Reads YAML with the line of every value, and refuses what could do harm.

Only plain YAML is read: no tags that build objects, no duplicate keys, and a bounded number of bytes, of levels, and of
values after aliases are followed (a "billion laughs" file is small on disk).

YAML 1.1 reads ``010`` as 8, ``1:30`` as 90 and ``1e-3`` as text. Here the first two are text, which no parameter takes,
and the third is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from augpipe.core.errors import RecipeError, one_line

Path_: TypeAlias = tuple[str | int, ...]

_MOST_BYTES = 100_000
_MOST_VALUES = 20_000
_DEEPEST = 50
_MOST_DIGITS = 30
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_NOT_DECIMAL = re.compile(r"[-+]?(0[0-9_]|.*:)")

_TAGS = {
    yaml.MappingNode: {"map"},
    yaml.SequenceNode: {"seq"},
    yaml.ScalarNode: {"null", "bool", "int", "float", "str", "timestamp", "value", "merge"},
}
_HINTS = {
    "'\\t'": "indent with spaces, not tabs",
    "mapping values are not allowed here": "is a line not indented as it should be, or a second ':' on it?",
    "expected <block end>": "does a line begin further left or right than its neighbours?",
    "but found another document": "one file holds one recipe",
}


@dataclass
class Document:
    """A recipe file as plain values, with the place of each.

    ``places`` maps a path of keys and indexes to what an error should name: ``file:line`` or an override.
    """

    name: str
    text: str
    value: Any
    places: dict[Path_, str] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """Where the value at ``path``, or the nearest that holds it, was written."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def read(name: str, text: str) -> Document:
    """Parse a YAML text.

    Raises:
        RecipeError: with file and line.
    """
    document = Document(name, text, None)
    root = _composed(name, text, lines=True)
    if root is None:
        raise RecipeError(f"{name}: the file is empty; expected a recipe with 'version: 1' and 'steps:'")
    document.value = _Reader(document, lines=True).plain(root, ())
    return document


def parse_value(said: str, text: str) -> Any:
    """The value of an override such as ``[-5, 5]``; nothing at all is null. ``said`` begins its errors.

    Raises:
        RecipeError: if it is not a YAML value.
    """
    root = _composed(said, text, lines=False)
    return None if root is None else _Reader(Document(said, text, None), lines=False).plain(root, ())


def read_file(path: Path) -> Document:
    """Read a recipe file.

    Raises:
        RecipeError: if there is no such file or it is not UTF-8 YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) <= _MOST_BYTES:
            raise RecipeError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
        text = data.decode("latin-1")  # cut in the middle of a character; too long in any case
    except FileNotFoundError as error:
        raise RecipeError(
            f"{path}: cannot read the recipe: no such file; 'augpipe recipes list' names the shipped"
        ) from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror}; expected a .yaml file") from error
    return read(str(path), text.replace("\r\n", "\n"))


def _composed(name: str, text: str, lines: bool) -> yaml.Node | None:
    if len(text.encode("utf-8", "replace")) > _MOST_BYTES:
        raise RecipeError(f"{name}: more than {_MOST_BYTES // 1000} kB; that is no recipe")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark and lines else ""
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        hint = next((f"; {hint}" for sign, hint in _HINTS.items() if sign in problem), "")
        raise RecipeError(f"{name}{line}: not YAML: {one_line(problem)}{hint}") from error
    except yaml.reader.ReaderError as error:
        line = f":{text.count(chr(10), 0, error.position) + 1}" if lines else ""
        raise RecipeError(f"{name}{line}: not YAML: the character U+{error.character:04X} is not text") from error
    except RecursionError as error:
        raise RecipeError(f"{name}: nested too deeply; expected at most {_DEEPEST} levels") from error


class _Reader:
    """Makes plain values of YAML nodes, and notes their places."""

    def __init__(self, document: Document, lines: bool) -> None:
        self._document = document
        self._lines = lines
        self._budget: Iterator[int] = iter(range(_MOST_VALUES))

    def plain(self, node: yaml.Node, path: Path_) -> Any:
        place = self._place(node)
        self._document.places[path] = place
        if next(self._budget, None) is None:
            raise RecipeError(f"{place}: more than {_MOST_VALUES} values; that is no recipe")
        if len(path) > _DEEPEST:
            raise RecipeError(f"{place}: nested too deeply; expected at most {_DEEPEST} levels")
        kind = self._kind(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, kind)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.plain(child, (*path, i)) for i, child in enumerate(node.value)]

    def _place(self, node: yaml.Node) -> str:
        return f"{self._document.name}:{node.start_mark.line + 1}" if self._lines else self._document.name

    def _kind(self, node: yaml.Node) -> str:
        """The last part of a node's tag, if it is one of YAML's own."""
        prefix, _, kind = node.tag.partition("tag:yaml.org,2002:")
        if prefix or kind not in _TAGS[type(node)]:
            shown = f"!!{kind}" if kind else node.tag
            raise RecipeError(f"{self._place(node)}: the tag {one_line(shown, 80)} is not read; a recipe is plain YAML")
        return kind

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError(f"{place}: expected a plain name before the ':'")
            if self._kind(key_node) == "merge":
                raise RecipeError(f"{place}: merge keys ('<<') are not read; write the values out")
            key = str(key_node.value)
            if key in out:
                raise RecipeError(f"{place}: '{one_line(key, 80)}' is given twice")
            below = (*path, key)
            out[key] = self.plain(value_node, below)
            self._document.places[below] = place
        return out

    def _scalar(self, node: yaml.ScalarNode, kind: str) -> Any:
        text = str(node.value)
        if kind == "str" and node.style is None and _EXPONENT.fullmatch(text):
            return float(text)
        if kind in ("timestamp", "value", "merge") or (kind in ("int", "float") and _NOT_DECIMAL.match(text)):
            return text
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, LookupError, yaml.YAMLError):
            value = text  # such as !!bool maybe
        if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
            raise RecipeError(f"{self._place(node)}: a number of more than {_MOST_DIGITS} digits")
        return value
