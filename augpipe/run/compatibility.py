"""The recipe meets the dataset, for every command that has both: refusals and remarks before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from augpipe.core.annotations import Annotations
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, plural
from augpipe.recipe.compatibility import (
    classes_for,
    kinds_of,
    mirrors,
    nameless,
    not_carried,
    require_carried,
    unpaired,
)
from augpipe.recipe.compile import Recipe

_A_FEW = 32
_MAY_HAVE_KEYPOINTS = ("coco", "shards")


def met(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset with what the recipe says of its classes, and with remarks on how both go together.

    Raises:
        DatasetError: none of its pictures was found.
        RecipeError: the recipe names what is not there, or has a step that cannot carry a label that is.
    """
    categories = classes_for(recipe, dataset.categories)
    _require_carried(dataset, recipe)
    _require_pictures(dataset)
    remarks = [*dataset.remarks, *_border_remarks(dataset, recipe)]
    if mirrors(recipe):
        remarks += unpaired(categories, recipe)
        if dataset.format in _MAY_HAVE_KEYPOINTS and not all(category.keypoints for category in categories):
            # Whether a class without names has keypoints stands nowhere but at its objects; a few tell.
            some = dataset.entries[:: -(-len(dataset.entries) // _A_FEW)]
            remarks += nameless(categories, (labels for _, labels in _labels(dataset, some)))
    return replace(dataset, categories=categories, remarks=tuple(remarks))


def _require_pictures(dataset: Dataset) -> None:
    """One missing picture is a reject of the run; without any, the source was named or unpacked wrongly."""
    if not dataset.entries or any(entry.picture is not None for entry in dataset.entries):
        return
    first = dataset.entries[0].key
    limit = dataset.options.limit
    asked = "" if limit is None else f" (--limit {limit})"
    where = "say where they are with --images DIR" if dataset.format == "coco" else "put them beside their labels"
    raise DatasetError(
        f"{one_line(dataset.root)}: none of its {plural(len(dataset.entries), 'picture')}{asked} was found; "
        f"the first is {one_line(first)}\n{where}, and run the same command again"
    )


def _border_remarks(dataset: Dataset, recipe: Recipe) -> list[str]:
    if recipe.border == "constant" or dataset.format == "imagefolder":
        return []
    return [f"border: {recipe.border} invents picture beyond the edge, whose objects have no labels"]


def _require_carried(dataset: Dataset, recipe: Recipe) -> None:
    """Reads labels only where a step has something that it cannot carry."""
    refusals = not_carried(recipe)
    if refusals:
        for key, labels in _labels(dataset, dataset.entries):
            require_carried(refusals, key, kinds_of(labels))


def _labels(dataset: Dataset, entries: Iterable[Entry]) -> Iterator[tuple[str, Annotations]]:
    """(key, labels) of the pictures whose labels can be read; the others are rejects of the run."""
    for entry in entries:
        try:
            labels = dataset.reader.annotations(entry)
        except Reject:
            continue
        yield entry.key, labels
