"""The dataset of a run, checked before any work: it suits the recipe, and its pictures are there."""

from __future__ import annotations

from dataclasses import replace

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, plural
from augpipe.formats.catalogue import format_named
from augpipe.recipe.compatibility import check
from augpipe.recipe.nodes import Recipe


def checked(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset with the keypoint pairs of the recipe, and with remarks on how both go together.

    Raises:
        RecipeError: the recipe does not suit the dataset.
        DatasetError: none of its pictures was found.
    """
    found = check(recipe, dataset)
    found.require()
    _require_pictures(dataset)
    return replace(dataset, categories=found.categories, remarks=(*dataset.remarks, *found.remarks))


def _require_pictures(dataset: Dataset) -> None:
    """One missing picture is a reject of the run; without any, the source was named or unpacked wrongly."""
    if not dataset.entries or any(entry.picture is not None for entry in dataset.entries):
        return
    first = dataset.entries[0].key
    limit = dataset.options.limit
    asked = "" if limit is None else f" (--limit {limit})"
    elsewhere = format_named(dataset.format).images
    where = "say where they are with --images DIR" if elsewhere else "put them beside their labels"
    raise DatasetError(
        f"{one_line(dataset.root)}: none of its {plural(len(dataset.entries), 'picture')}{asked} was found; "
        f"the first is {one_line(first)}\n{where}, and run the same command again"
    )
