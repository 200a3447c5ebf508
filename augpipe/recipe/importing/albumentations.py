"""What Albumentations writes: groups and transforms, each of which becomes steps and a line of the report."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from augpipe.core.errors import one_line
from augpipe.recipe.importing import catalogue, single
from augpipe.recipe.importing.given import Given, Unreadable
from augpipe.recipe.importing.pieces import Written, real, taking_part, weighing, written
from augpipe.recipe.importing.report import Line, Status
from augpipe.recipe.messages import shown
from augpipe.recipe.other_writers import CLASS
from augpipe.recipe.yaml_reader import Document, Path_

_Group = Callable[["Walk", dict[str, Any], Path_], "tuple[list[Written], float]"]


class Walk:
    """Goes through a document once; ``lines`` are the report, ``edge`` is the first border that a move asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._version = _version(document.value.get("__version__"))
        self.lines: list[Line] = []
        self.edge: single.Edge | None = None

    def told(self, status: Status, name: str, path: Path_, why: str, pieces: list[Written] | None = None) -> Line:
        """Note a line of the report."""
        steps = tuple(written(piece) for piece in pieces or ())
        place = self._document.place(path).rpartition(":")[2]
        line = Line(status, one_line(name, 60), int(place) if place.isdecimal() else 1, steps, one_line(why))
        self.lines.append(line)
        return line

    def node(self, value: Any, path: Path_) -> tuple[list[Written], float]:
        """(pieces, probability that they take part) of a transform or a group."""
        if not isinstance(value, dict) or not isinstance(value.get(CLASS), str):
            return self._left_out("?", path, f"expected a transform with '{CLASS}', got {shown(value)}"), 1.0
        name = value[CLASS].rpartition(".")[2]
        try:
            group = _GROUPS.get(name)
            return group(self, value, path) if group else self._transform(name, value, path)
        except Unreadable as error:
            return self._left_out(name, path, str(error)), 1.0

    def children(self, value: dict[str, Any], path: Path_) -> list[tuple[list[Written], float]]:
        """What :meth:`node` makes of each child of a group."""
        items = value.get("transforms")
        if not isinstance(items, list):
            raise Unreadable(f"transforms: expected a list, got {shown(items)}")
        return [self.node(item, (*path, "transforms", i)) for i, item in enumerate(items)]

    def probability(self, value: dict[str, Any], default: float) -> float:
        """The p of a transform or a group."""
        if value.get("always_apply") is True:
            return 1.0
        p = Given(value).number("p", default)
        if not 0.0 <= p <= 1.0:
            raise Unreadable(f"p: expected a number from 0 to 1, got {shown(p)}")
        return p

    @property
    def version(self) -> tuple[int, ...]:
        """Of the library that wrote the file."""
        return self._version

    def _left_out(self, name: str, path: Path_, why: str) -> list[Written]:
        line = self.told("missing", name, path, why if why.startswith("left out") else f"left out: {why}")
        return [Written("", remark=line.remark())]

    def _transform(self, name: str, value: dict[str, Any], path: Path_) -> tuple[list[Written], float]:
        if name in catalogue.NOTHING:
            self.told("exact", name, path, "nothing")
            return [], self.probability(value, 0.5)
        if name in catalogue.TRAINER:
            line = self.told("trainer", name, path, catalogue.FOR_TRAINER)
            return [Written("", remark=line.remark())], self.probability(value, 1.0)
        row = single.row_of(name)
        p = self.probability(value, 1.0 if row and row.always else 0.5)
        if row is None:
            return self._left_out(name, path, catalogue.reason(name)), p
        given = Given(value, self._version)
        if row.near:
            given.note(row.near)
        try:
            pieces = single.steps_of(row, given)
            if row.moves:
                self._ask(single.edge_of(given), given)
        except Unreadable as error:
            return self._left_out(name, path, str(error)), p
        single.unread(given)
        why = "; ".join(given.notes)
        line = self.told("near" if why else "exact", name, path, why, taking_part(pieces, p))
        first = Written(pieces[0].name, pieces[0].values, pieces[0].children, line.remark())
        return [first, *pieces[1:]], p

    def _ask(self, edge: single.Edge, given: Given) -> None:
        if self.edge is None:
            self.edge = edge
        elif edge != self.edge:
            given.note(f"one border a recipe, here {self.edge[0]}")


# --- groups ----------------------------------------------------------------------------------------------------------


def _all(walk: Walk, value: dict[str, Any], path: Path_) -> tuple[list[Written], float]:
    p = walk.probability(value, 0.5 if value[CLASS].endswith("Sequential") else 1.0)
    return [piece for pieces, own in walk.children(value, path) for piece in taking_part(pieces, own)], p


def _one(walk: Walk, value: dict[str, Any], path: Path_) -> tuple[list[Written], float]:
    p = walk.probability(value, 0.5)
    children = walk.children(value, path)
    return _chosen(children, [own for _, own in children], p)


def _one_or_other(walk: Walk, value: dict[str, Any], path: Path_) -> tuple[list[Written], float]:
    p = walk.probability(value, 0.5)
    children = walk.children(value, path)
    if len(children) != 2:
        raise Unreadable(f"transforms: expected two, got {len(children)}")
    return _chosen(children, [p, 1.0 - p], 1.0)


def _chosen(children: list[tuple[list[Written], float]], weights: list[float], p: float) -> tuple[list[Written], float]:
    """One of the children; what is left out takes its share of the choice with it."""
    total = sum(weights)
    kept = [(pieces, weight) for (pieces, _), weight in zip(children, weights, strict=True) if real(pieces)]
    remarks = [piece for pieces, _ in children if not real(pieces) for piece in pieces]
    if total <= 0.0:
        raise Unreadable("no child has a p above 0, so nothing could be chosen")
    share = sum(weight for _, weight in kept)
    if share <= 0.0:
        return remarks, 1.0
    inside = [piece for pieces, weight in kept for piece in weighing(pieces, weight)]
    return [Written("one_of", {}, (*remarks, *inside))], p * share / total


def _some(walk: Walk, value: dict[str, Any], path: Path_) -> tuple[list[Written], float]:
    name = value[CLASS].rpartition(".")[2]
    p = walk.probability(value, 1.0)
    children = walk.children(value, path)
    kept = [(pieces, own) for pieces, own in children if real(pieces)]
    remarks = [piece for pieces, _ in children if not real(pieces) for piece in pieces]
    given = Given(value)
    low, high = given.pair("n", (1.0, 1.0))
    if low < 0 or low != int(low) or high != int(high):
        raise Unreadable(f"n: expected whole numbers, got {shown(value.get('n'))}")
    notes = []
    if given.flag("replace", walk.version < (2,)):
        notes.append("no step twice")
    if len(kept) < len(children):
        notes.append("a choice among those that are left")
    if name == "RandomOrder":  # `shuffled` takes all of its steps
        notes.append("in the order of the file")
    uniform = walk.version >= (2,)
    sound = [
        weighing(taking_part(pieces, own), None) if uniform else weighing(pieces, own)
        for pieces, own in kept
        if uniform or own > 0.0
    ]
    if not sound:
        return remarks, 1.0
    n = [min(int(low), len(sound)), min(int(high), len(sound))]
    beside = {"n": n[0] if n[0] == n[1] else n}
    group = Written("some_of", beside, (*remarks, *(piece for pieces in sound for piece in pieces)))
    if not notes:
        return [group], p
    line = walk.told("near", name, path, "; ".join(notes))
    return [Written(group.name, group.values, group.children, line.remark())], p


_GROUPS: dict[str, _Group] = {
    **dict.fromkeys(("Compose", "ReplayCompose", "Sequential"), _all),
    "OneOf": _one,
    "OneOrOther": _one_or_other,
    **dict.fromkeys(("SomeOf", "RandomOrder"), _some),
}


def _version(text: Any) -> tuple[int, ...]:
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text) if isinstance(text, str) else None
    return (int(found[1]), int(found[2])) if found else (2, 0)


def imported(document: Document) -> tuple[list[Written], dict[str, Any], list[Line]]:
    """(steps, head of the recipe beside them, lines of the report) of a document of Albumentations."""
    walk, value = Walk(document), document.value
    root: Path_ = () if CLASS in value else ("transform",)
    top = value if CLASS in value else value["transform"]
    pieces, p = walk.node(top, root)
    head = _labels(walk, top, root)
    if walk.edge is not None and walk.edge != ("constant", 0):
        head["border"] = walk.edge[0]
        if walk.edge[0] == "constant":
            head["fill"] = walk.edge[1]
    return taking_part(pieces, p), head, walk.lines


def _labels(walk: Walk, top: dict[str, Any], root: Path_) -> dict[str, Any]:
    """What ``BboxParams`` says of labels, as a head with ``labels``; empty without it."""
    try:
        given = Given(top).below("bbox_params")
        if not given.raw("format"):
            return {}
        sides = [given.number("min_width", 0.0), given.number("min_height", 0.0)]
        labels = {
            "min_area": given.number("min_area", 0.0),
            "min_visibility": given.number("min_visibility", 0.0),
            "min_side": min(sides),
        }
        if not (0 <= labels["min_visibility"] <= 1 and 0 <= labels["min_side"] <= 1e5 and labels["min_area"] >= 0):
            raise Unreadable("expected min_area, min_width and min_height from 0, and min_visibility from 0 to 1")
    except Unreadable as error:
        walk.told("missing", "BboxParams", (*root, "bbox_params"), f"left out: {error}")
        return {}
    if sides[0] != sides[1]:
        given.note("min_side is the smaller of min_width and min_height")
    if given.raw("max_accept_ratio") is not None:
        given.note("max_accept_ratio: not carried over")
    why = "; ".join(given.notes)
    line = walk.told("near" if why else "exact", "BboxParams", (*root, "bbox_params"), why)
    said = {key: value if value != int(value) else int(value) for key, value in labels.items()}
    walk.lines[-1] = Line(line.status, line.name, line.line, (f"labels: {said}".replace("'", ""),), why)
    return {"labels": said}
