"""Brace patterns of tars: their names are counted before one is made, as braceexpand makes all of a range at once."""

from __future__ import annotations

import itertools
import re

from braceexpand import alphabet, braceexpand

from augpipe.core.errors import DatasetError, one_line

MOST_TARS = 100_000
_LONGEST, _DEEPEST = 4096, 16  # letters, as many as a path may have, and levels of braces
_NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?$")
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d+))?$")


def expanded(pattern: str) -> list[str]:
    """The names that a pattern such as ``x-{000..009}.tar`` stands for.

    Raises:
        DatasetError: braces that do not match, or more names than a dataset can have tars.
    """
    shown = one_line(pattern, 200)
    if len(pattern) > _LONGEST:
        raise DatasetError(f"{shown}: a pattern of {len(pattern):,} letters; expected at most {_LONGEST:,}")
    try:
        count = names_in(pattern)
        if count > MOST_TARS:
            raise DatasetError(f"{shown}: names {count:,} files; expected at most {MOST_TARS:,}")
        return list(itertools.islice(braceexpand(pattern), MOST_TARS))
    except ValueError as error:
        raise DatasetError(f"{shown}: the braces do not match") from error


def names_in(pattern: str) -> int:
    """How many names a pattern stands for, at least 1 for each range; by the grammar of braceexpand.

    Raises:
        ValueError: the braces do not match.
        DatasetError: they are nested too deeply.
    """
    return _product(pattern, 0)


def _product(text: str, level: int) -> int:
    if level > _DEEPEST:
        raise DatasetError(f"a pattern whose braces are nested in more than {_DEEPEST} levels; name the tars' folder")
    count = 1
    for group in _groups(text):
        count *= _range(group) or _sum(group, level) or _product(group, level + 1)
    return count


def _groups(text: str) -> list[str]:
    """What stands in the outermost braces."""
    found, depth, start = [], 0, 0
    for at, letter in _plain(text):
        if letter == "{":
            depth += 1
            start = at + 1 if depth == 1 else start
        elif letter == "}":
            depth -= 1
            if depth == 0:
                found.append(text[start:at])
    if depth:
        raise ValueError("unbalanced braces")
    return found


def _sum(text: str, level: int) -> int:
    """Names in a list with commas; 0 if there is no comma."""
    depth, cuts = 0, [-1]
    for at, letter in _plain(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            cuts.append(at)
    if len(cuts) == 1:
        return 0
    return sum(_product(text[a + 1 : b], level + 1) for a, b in itertools.pairwise([*cuts, len(text)]))


def _plain(text: str) -> list[tuple[int, str]]:
    """(place, letter) of the letters that no backslash takes their meaning."""
    found, at = [], 0
    while at < len(text):
        if text[at] != "\\":
            found.append((at, text[at]))
        at += 1 + (text[at] == "\\")
    return found


def _range(text: str) -> int:
    """Names in a range; 0 if it is none."""
    if match := _NUMBERS.match(text):
        first, last = int(match[1]), int(match[2])
    elif match := _LETTERS.match(text):
        first, last = alphabet.index(match[1]), alphabet.index(match[2])
    else:
        return 0
    step = abs(int(match[3] or 1)) or 1
    return abs(last - first) // step + 1
