"""Plans without pixels, samples in memory, and the size of a run, to look at before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from augpipe.core.annotations import Annotations, Frame, Header, class_names
from augpipe.core.canvas import CanvasState, follow
from augpipe.core.errors import MissingLibrary, Reject, UsageError, fault
from augpipe.core.plan import Pixels, Plan, to_json
from augpipe.formats.base import Dataset, Entry, read_picture
from augpipe.formats.layout.purposes import augmented_splits, shown_split
from augpipe.formats.look import upright_labels
from augpipe.formats.significant_bits import found_levels, is_deep
from augpipe.labels.transform import Labelled, apply
from augpipe.pixels import cpu
from augpipe.pixels.codec.header import MAX_PIXELS, read_header
from augpipe.pixels.codec.image import PictureFormat, decode
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.planner import draw
from augpipe.run.compatibility import checked
from augpipe.run.folder.store import Store


def _opened(
    dataset: Dataset,
    entry: Entry,
    reading: PixelReading = PixelReading(),  # noqa: B008 - frozen
) -> tuple[bytes, Header, Annotations]:
    data = read_picture(entry)
    header = read_header(data, reading=reading)
    return data, header, upright_labels(dataset.reader, entry, header, dataset.options.exif)


def augmented_part(dataset: Dataset) -> tuple[Dataset, str]:
    """The pictures that a run would augment, and a remark if these are not all; all where nothing says which."""
    splits = dataset.splits
    try:
        chosen = list(splits) if dataset.options.split is not None else augmented_splits(splits)
    except UsageError:
        return dataset, ""
    if len(chosen) == len(splits):
        return dataset, ""
    counts = ", ".join(f"{shown_split(name)} {splits[name]:,}" for name in splits if name not in chosen)
    entries = [entry for entry in dataset.entries if entry.split in chosen]
    taken = ", ".join(map(shown_split, chosen))
    return replace(dataset, entries=entries), f"pictures of {taken}; others pass through a run as they are: {counts}"


def plans(dataset: Dataset, recipe: Recipe, seed: int, copies: int) -> Iterator[dict[str, Any]]:
    """The plan of each copy of each picture, or the error.

    Raises:
        RecipeError: the recipe does not suit the dataset.
        MissingLibrary: a library that all pictures need does not load.
    """
    dataset = checked(dataset, recipe)
    for entry in dataset.entries:
        try:
            _, header, annotations = _opened(dataset, entry)
            frame = Frame(entry.key, header.upright_wh, annotations, class_names(dataset.categories), entry.split)
            for copy in range(copies):
                yield {"source": entry.key, "copy": copy, "plan": to_json(draw(recipe, frame, seed, copy))}
        except MissingLibrary:
            raise
        except Exception as error:  # one picture must not end the command
            reject = error if isinstance(error, Reject) else fault("plan", error)
            yield {"source": entry.key, "error": reject.code, "message": reject.message}


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture, (H, W, 3) RGB or (H, W) gray, with its labels and the plan that made it."""

    pixels: Pixels
    labels: Labelled
    plan: Plan


@dataclass(frozen=True, eq=False)
class Sampled:
    """The samples of one source: the original, then the copies."""

    key: str
    samples: tuple[Sample, ...]


def samples(
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    copies: int,
    most: int | None = None,
    *,
    reading: PixelReading = PixelReading(),  # noqa: B008 - frozen
    source: str = "",
) -> Iterator[Sampled | Reject]:
    """Each picture with ``copies`` of it, as a run would make them, or the reject of one that cannot be made.

    With ``most``, at most so many pictures, spread evenly over the sorted order. ``source`` is the dataset's place: all
    of it tells the range of 16-bit samples, as in a run, if a picture has such and ``reading`` has no levels.

    Raises:
        RecipeError: the recipe does not suit the dataset.
        MissingLibrary: a library that all pictures need does not load.
    """
    dataset = whole = checked(dataset, recipe)
    dataset = dataset if most is None else spread(dataset, most)
    categories = {c.id: c for c in dataset.categories}
    for entry in dataset.entries:
        try:
            data, header, annotations = _opened(dataset, entry, reading)
            if reading.levels is None and is_deep(header.bits, header.format):
                reading = replace(reading, levels=found_levels(source, whole, reading, MAX_PIXELS))
                data, header, annotations = _opened(dataset, entry, reading)
            picture = decode(data, header)
            frame = Frame(entry.key, header.upright_wh, annotations, class_names(dataset.categories), entry.split)
            untouched = apply(annotations, CanvasState(frame.size_wh), recipe.rules, categories, dataset.options.void)
            made = [Sample(_rgb(picture), untouched, Plan(seed))]
            for copy in range(copies):
                plan = draw(recipe, frame, seed, copy)
                canvas = follow(plan.steps, frame.size_wh)
                labels = apply(annotations, canvas, recipe.rules, categories, dataset.options.void)
                made.append(Sample(_rgb(cpu.apply(picture, plan.steps)), labels, plan))
            yield Sampled(entry.key, tuple(made))
        except MissingLibrary:
            raise
        except Exception as error:  # as in plans
            yield error if isinstance(error, Reject) else fault("plan", error)


def _rgb(picture: Pixels) -> Pixels:
    return picture if picture.ndim == 2 else picture[:, :, ::-1]


def spread(dataset: Dataset, count: int) -> Dataset:
    """The dataset with at most ``count`` entries, evenly spread over the sorted order."""
    total = len(dataset.entries)
    if total <= count:
        return dataset
    return replace(dataset, entries=[dataset.entries[i * total // count] for i in range(count)])


# --- estimates, so that a disk that will be full is reported before a run starts -------------------------------------


_LOOKED_AT = 8
_PNG_BYTES, _JPEG_BYTES, _FINE_JPEG_BYTES = 2.0, 0.3, 0.8  # a pixel; photographs, three channels
_RECORD = 3000


def remark_on_space(store: Store, needed: int) -> str | None:
    """A sentence if a store has less room than ``needed`` bytes."""
    free = store.free_bytes()
    if free is None or free >= needed:
        return None
    return (
        f"about {_size(needed)} will be written, and {store.folder} has room for {_size(free)}; "
        "when the disk is full the run stops, and goes on after room was made"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def bytes_of_samples(dataset: Dataset, recipe: Recipe, seed: int, picture: PictureFormat, samples: int) -> int:
    """An estimate of the bytes of so many samples, from a few pictures."""
    sizes = [
        size
        for entry in spread(dataset, _LOOKED_AT).entries
        if (size := _size_of_copy(dataset, entry, recipe, seed, picture))
    ]
    if not sizes:
        return 0
    return round(samples * (sum(sizes) / len(sizes) + _RECORD))


def _bytes_a_pixel(picture: PictureFormat) -> float:
    if picture.format == "png" or (picture.format == "webp" and picture.quality > 100):
        return _PNG_BYTES
    fine = picture.quality > 95 or picture.subsampling == "4:4:4"
    return _FINE_JPEG_BYTES if fine else _JPEG_BYTES


def _size_of_copy(dataset: Dataset, entry: Entry, recipe: Recipe, seed: int, picture: PictureFormat) -> float:
    """About how many bytes the first copy of a picture takes; 0 if it cannot be read."""
    try:
        _, header, annotations = _opened(dataset, entry)
        plan = draw(
            recipe,
            Frame(entry.key, header.upright_wh, annotations, class_names(dataset.categories), entry.split),
            seed,
            0,
        )
    except Exception:  # an estimate must not stop a run, which rejects such pictures
        return 0
    width, height = follow(plan.steps, header.upright_wh).size_wh
    return width * height * _bytes_a_pixel(picture.of(header))
