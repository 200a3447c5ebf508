"""Pictures that labels call by another name than the disk does: other letter case, an upload tool's prefix, a URL.

A name is matched by rules that are tried one after the other, the strictest first. A rule decides only where a single
picture fits, so that no picture is guessed.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from augpipe.core.errors import one_line

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+[^/]*/*")  # also with the single slash that cleaning a path leaves
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio's: the first digits of a UUID
_MOST_FOLDERS = 16


@dataclass(frozen=True)
class Match:
    """``name`` is the picture, ``rule`` what had to be overlooked to find it, in words."""

    name: str
    rule: str


def match_names(wanted: Iterable[str], there: Collection[str], taken: Collection[str] = ()) -> dict[str, Match]:
    """The picture of each wanted name, as far as exactly one of ``there`` fits.

    Both are relative POSIX paths. Whole paths are compared first, then one may have more folders in front than the
    other, then the ending may differ; each of these as it stands, then without regard to letter case, to percent
    encoding, to a URL's server, and to the prefix of an upload. Folders must agree as far as both have them, as
    ``val/1.jpg`` is not ``train/1.jpg``. A picture that two names fit belongs to neither.

    Args:
        wanted: names that no picture has exactly.
        there: all pictures.
        taken: pictures that belong to names that fit exactly.

    >>> match_names(["data/images/A.JPG"], ["images/a.jpg"])
    {'data/images/A.JPG': Match(name='images/a.jpg', rule='more folders, letter case')}
    """
    free = [name for name in there if name not in taken] if taken else list(there)
    left = list(dict.fromkeys(wanted))
    loosest = {name: _loosest(name) for name in (*free, *left)}
    both = {loosest[name] for name in free} & {loosest[name] for name in left}
    free, left = ([name for name in names if loosest[name] in both] for names in (free, left))
    out: dict[str, Match] = {}
    for words, form, folders in _rules():
        if not left:
            break
        candidates = _candidates(free, form, folders)
        claims: defaultdict[str, list[str]] = defaultdict(list)
        for name in left:
            if len(fitting := candidates(form(name))) == 1:
                claims[fitting.pop()].append(name)
        out |= {names[0]: Match(match, words) for match, names in claims.items() if len(names) == 1}
        free = [name for name in free if name not in claims] if claims else free
        left = [name for name in left if name not in out]
    return out


def rule_remarks(matches: Mapping[str, Match]) -> list[str]:
    """A remark a rule: how many pictures it has found, and one of them."""
    by_rule: defaultdict[str, list[str]] = defaultdict(list)
    for name, match in matches.items():
        by_rule[match.rule].append(name)
    out = []
    for rule, names in by_rule.items():
        count = f"{len(names):,} picture{'' if len(names) == 1 else 's'}"
        example = f"{one_line(names[0], 80)} is {one_line(matches[names[0]].name, 80)}"
        out.append(f"{count} found by another name ({rule}): {example}")
    return out


# --- forms of a name -------------------------------------------------------------------------------------------------


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _nfc(name).casefold()


def _unquoted(name: str) -> str:
    return _folded(unquote(name))


def _without_server(name: str) -> str:
    """Of a URL its path, without what follows a question mark."""
    start = _URL.match(name)
    return _unquoted(name if start is None else name[start.end() :].partition("?")[0])


def _without_prefix(name: str) -> str:
    folder, slash, base = _without_server(name).rpartition("/")
    return folder + slash + _UPLOAD.sub("", base, count=1)


_FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", _nfc),
    ("letter case", _folded),
    ("percent-encoding", _unquoted),
    ("URL", _without_server),
    ("upload prefix", _without_prefix),
)


# --- rules -----------------------------------------------------------------------------------------------------------


def _rules() -> Iterator[tuple[str, Callable[[str], str], bool]]:
    """(words, form, whether one path may have more folders in front) of each rule, the strictest first."""
    for extra in ("", "more folders", "another ending"):
        for words, form in _FORMS:
            yield (
                ", ".join(filter(None, (extra, words))),
                form if extra != "another ending" else _stem_of(form),
                extra != "",
            )


def _loosest(name: str) -> str:
    """What the names of one picture have in common by any rule."""
    return os.path.splitext(_without_prefix(name).rpartition("/")[2])[0]


def _stem_of(form: Callable[[str], str]) -> Callable[[str], str]:
    return lambda name: os.path.splitext(form(name))[0]


def _candidates(there: Iterable[str], form: Callable[[str], str], folders: bool) -> Callable[[str], set[str]]:
    """What gives the pictures that fit a form: equal to it or, with ``folders``, one the end of the other."""
    whole: defaultdict[str, list[str]] = defaultdict(list)
    ends: defaultdict[str, list[str]] = defaultdict(list)
    for name in there:
        whole[form(name)].append(name)
        for end in _ends(form(name)) if folders else ():
            ends[end].append(name)

    def fitting(wanted: str) -> set[str]:
        """At most three, as only a single one decides: many pictures may have one name."""
        out = set((ends.get(wanted, ()) if folders else ())[:2])
        for end in _ends(wanted) if folders else (wanted,):
            out.update(whole.get(end, ())[:2])
            if len(out) > 1:
                break
        return out

    return fitting


def _ends(path: str) -> Iterator[str]:
    """A path, and what is left of it without its first folder, its first two, …"""
    parts = path.split("/")
    for first in range(max(0, len(parts) - _MOST_FOLDERS), len(parts)):
        yield "/".join(parts[first:])
