"""The contact sheet of a recipe on a dataset: originals, and copies of them as a run would make them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from augpipe.core.annotations import U8
from augpipe.core.errors import Reject, RunError, UsageError, one_line
from augpipe.core.paths import StrPath
from augpipe.core.progress import Progress
from augpipe.formats.base import SourceOptions, plural
from augpipe.formats.registry import open_dataset
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.recipe.nodes import Recipe
from augpipe.run.augment import loaded
from augpipe.run.dry_run import Sample, augmented_part, samples
from augpipe.storage.remote import shown
from augpipe.viz.sheet import Tile, save_png, sheet

_SILENT = Progress()


def _unheard(remark: str) -> None:
    pass


def preview(  # noqa: PLR0913 - what is not given has a default
    source: StrPath,
    recipe: Recipe | StrPath,
    output: StrPath | None = None,
    *,
    copies: int = 3,
    limit: int = 5,
    seed: int = 0,
    tile_px: int = 320,
    options: SourceOptions | None = None,
    reading: PixelReading = PixelReading(),  # noqa: B008 - frozen
    ops: Sequence[StrPath] = (),
    progress: Progress = _SILENT,
    note: Callable[[str], None] = _unheard,
) -> U8:
    """Draw originals and augmented pictures with boxes, masks and keypoints on one sheet.

    Args:
        source: a dataset, as of :func:`augpipe.augment`.
        recipe: a recipe, the name of a shipped one, or a YAML file.
        output: a file .png for the sheet, if it is to be kept.
        copies: augmented pictures beside each original.
        limit: pictures, spread over the dataset.
        seed: of all random numbers.
        tile_px: the longest side of a picture on the sheet.
        options: how the source is read.
        reading: how its pixels are read.
        ops: Python files with operations of one's own that the recipe names.
        progress: counts pictures.
        note: called with a sentence for each thing to know.

    Returns:
        The sheet, (H, W, 3) RGB.

    Raises:
        UsageError: an argument makes no sense, or the recipe does not suit the dataset.
        RunError: no picture could be read, or the sheet cannot be written.

    >>> import augpipe
    >>> augpipe.preview("data/voc", "detection", "sheet.png", limit=1, copies=2).shape[2]
    3
    """
    if not (0 <= copies <= 20 and 1 <= limit <= 200 and 32 <= tile_px <= 2000):
        raise UsageError("expected 0 to 20 copies, 1 to 200 pictures and tiles of 32 to 2000 pixels")
    place, recipe = os.fspath(source), loaded(recipe, ops)
    dataset, remark = augmented_part(open_dataset(place, options))
    if remark:
        note(remark)
    rows, keys = [], []
    progress.begin(min(limit, len(dataset.entries)))
    for sampled in samples(dataset, recipe, seed, copies, limit, reading=reading, source=place):
        progress.update(1)
        if isinstance(sampled, Reject):
            note(one_line(sampled.message))
            continue
        rows.append([_tile(sample, copy) for copy, sample in enumerate(sampled.samples, start=-1)])
        keys.append(sampled.key)
    if not rows:
        raise RunError(f"{place}: no picture could be read")
    categories = {c.id: c for c in dataset.categories}
    title = f"{Path(shown(place)).name} · {recipe.name} · seed {seed}"
    drawn = sheet(rows, categories, tile_px=tile_px, title=title, keys=keys)
    if output is not None:
        save_png(output, drawn)
    return drawn


def _tile(sample: Sample, copy: int) -> Tile:
    annotations = sample.labels.annotations
    if copy < 0:
        h, w = sample.pixels.shape[:2]
        caption = f"{w}×{h} · {plural(len(annotations.objects), 'object')}"
        return Tile(sample.pixels, annotations, caption, "original")
    names = [drawn.name.rpartition("/")[2] for drawn in sample.plan.drawn]
    return Tile(sample.pixels, annotations, " · ".join(names), f"copy {copy}")
