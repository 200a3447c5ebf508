"""What is odd about a list of classes: never used, told apart by case or spaces alone, keypoints that have no pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from augpipe.recipe.meeting import looks_sided
from augpipe.sample import Category
from augpipe.survey.oddity import Example, Oddity, with_one
from augpipe.survey.tally import Tally


def odd_classes(categories: Sequence[Category], tally: Tally) -> dict[str, Oddity]:
    """Oddities of the class list, with the names as examples."""
    found: dict[str, Oddity] = {}
    for category in categories:
        counts = tally.classes.get(category.id)
        if counts is None or not (counts.objects or counts.tags or counts.pixels):
            with_one(found, "class-unused", Example(name=category.name))
    for name, other in alike(c.name for c in categories):
        with_one(found, "class-names-alike", Example(name=name, message=f"beside '{other}'"))
    for category in categories:
        paired = {i for pair in category.flip_pairs for i in pair}
        for i, name in enumerate(category.keypoints):
            if i not in paired and looks_sided(name):
                with_one(found, "keypoint-unpaired", Example(name=category.name, message=name))
    return found


def alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """(a name, an earlier one that is the same but for case, spaces and separators).

    >>> alike(["Car", "bus", "car ", "traffic light", "traffic_light"])
    [('car ', 'Car'), ('traffic_light', 'traffic light')]
    """
    first: dict[str, str] = {}
    out = []
    for name in names:
        plain = "".join(c for c in name.casefold() if c.isalnum()) or name
        earlier = first.setdefault(plain, name)
        if earlier is not name:
            out.append((name, earlier))
    return out
