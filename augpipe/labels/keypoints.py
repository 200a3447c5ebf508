"""Which keypoints change places in a mirror image, by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+|[\W_]")
_SIDED = re.compile(r"left|right|(^|[^a-z])[lr]([^a-z]|$)", re.IGNORECASE)
_SIDED_HUMP = re.compile(r"^[lrLR][A-Z]|[^\W\d_A-Z][LR](?![^\W\d_A-Z])")  # lEye, REye, eyeL, eyeLInner
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


def flip_pairs_of(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Index pairs (left, right) of keypoints, found by their names; what is not clear is in no pair.

    Two names are a pair if they differ in nothing but their side. A side is ``left`` or ``right``, also within a word,
    or the letter l or r that is a word of its own: between separators, humps and digits, as in ``eye_l``, ``LEye``,
    ``eyeL`` and ``l1``. The letter that begins ``lip`` is none. Upper and lower case are not told apart.

    >>> flip_pairs_of(["nose", "left_eye", "right_eye", "REar", "LEar", "lip", "rip"])
    ((1, 2), (4, 3))
    """
    words = [_words_of(name) for name in names]
    counts = Counter(words)
    once = {word: i for i, word in enumerate(words) if counts[word] == 1}
    other = {word: _mirrored(word, once) for word in once}
    return tuple(
        (i, once[found])
        for word, i in once.items()
        if (found := other[word]) is not None and other[found] == word and word < found  # "l" < "r", "left" < "right"
    )


def _words_of(name: str) -> tuple[str, ...]:
    """A name in lower case, parted at separators, digits, humps, and around ``left`` and ``right``."""
    return tuple(w for word in _WORD.findall(name) for w in re.split("(left|right)", word.lower()) if w)


def _mirrored(words: tuple[str, ...], among: Collection[tuple[str, ...]]) -> tuple[str, ...] | None:
    """What a name is called in a mirror image: all its sides are changed, or else the one with which it exists."""
    whole = tuple(_OTHER_SIDE.get(word, word) for word in words)
    if whole in among and whole != words:
        return whole
    single = [(*words[:i], _OTHER_SIDE[w], *words[i + 1 :]) for i, w in enumerate(words) if w in _OTHER_SIDE]
    found = [one for one in single if one in among]
    return found[0] if len(found) == 1 else None


def looks_sided(name: str) -> bool:
    """Whether the name of a keypoint contains left or right, or the letter l or r for it."""
    return bool(_SIDED.search(name) or _SIDED_HUMP.search(name))
