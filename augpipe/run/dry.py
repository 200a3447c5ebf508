"""Plans without pixels, and a few samples without a folder: for looking before running."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from augpipe.errors import Reject
from augpipe.formats.align import aligned
from augpipe.formats.base import Dataset, Entry, read_picture
from augpipe.labels import Labelled, apply
from augpipe.pixels import cpu
from augpipe.pixels.codec import decode
from augpipe.pixels.header import read_header
from augpipe.plan import Plan, to_json
from augpipe.recipe.draw import draw
from augpipe.recipe.model import Recipe
from augpipe.run.meeting import met
from augpipe.sample import Annotations, Frame, Header
from augpipe.sampling import Pixels
from augpipe.track import Track, follow


def _opened(dataset: Dataset, entry: Entry) -> tuple[bytes, Header, Annotations]:
    data = read_picture(entry)
    header = read_header(data)
    return data, header, aligned(dataset.reader.annotations(entry), header, dataset.options.exif)


def plans(dataset: Dataset, recipe: Recipe, seed: int, copies: int) -> Iterator[dict[str, Any]]:
    """The plan of each copy of each picture, or why there is none.

    Raises:
        RecipeError: the recipe does not suit the dataset.
    """
    dataset = met(dataset, recipe)
    for entry in dataset.entries:
        try:
            _, header, annotations = _opened(dataset, entry)
            frame = Frame(entry.key, header.upright_wh, annotations)
            for copy in range(copies):
                yield {"source": entry.key, "copy": copy, "plan": to_json(draw(recipe, frame, seed, copy))}
        except Reject as reject:
            yield {"source": entry.key, "error": reject.code, "message": reject.message}


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture in memory, (H, W, 3) RGB or (H, W) gray, with its labels and the plan that made it."""

    pixels: Pixels
    labels: Labelled
    plan: Plan


@dataclass(frozen=True, eq=False)
class Sampled:
    """One source: its own picture first, its copies behind it."""

    key: str
    samples: tuple[Sample, ...]


def samples(dataset: Dataset, recipe: Recipe, seed: int, copies: int) -> Iterator[Sampled | Reject]:
    """Each picture with ``copies`` of it, as a run would make them; a reject in the place of one that cannot be.

    Raises:
        RecipeError: the recipe does not suit the dataset.
    """
    dataset = met(dataset, recipe)
    categories = {c.id: c for c in dataset.categories}
    for entry in dataset.entries:
        try:
            data, header, annotations = _opened(dataset, entry)
            picture = decode(data, header)
            frame = Frame(entry.key, header.upright_wh, annotations)
            untouched = apply(annotations, Track(frame.size_wh), recipe.rules, categories, dataset.options.void)
            made = [Sample(_rgb(picture), untouched, Plan(seed))]
            for copy in range(copies):
                plan = draw(recipe, frame, seed, copy)
                track = follow(plan.steps, frame.size_wh)
                labels = apply(annotations, track, recipe.rules, categories, dataset.options.void)
                made.append(Sample(_rgb(cpu.apply(picture, plan.steps)), labels, plan))
            yield Sampled(entry.key, tuple(made))
        except Reject as reject:
            yield reject


def _rgb(picture: Pixels) -> Pixels:
    return picture if picture.ndim == 2 else picture[:, :, ::-1]


def spread(dataset: Dataset, count: int) -> Dataset:
    """The dataset with ``count`` of its entries, evenly spread over the sorted order."""
    total = len(dataset.entries)
    if total <= count:
        return dataset
    return replace(dataset, entries=[dataset.entries[i * total // count] for i in range(count)])
