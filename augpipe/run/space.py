"""About how many bytes a run will write, told before it starts: a disk that fills up at night is a lost night.

A few pictures, spread over the dataset, are drawn without being decoded; what counts is the size of the pictures that
come out, and what photographs need a pixel. It is a guess, so it warns and never refuses.
"""

from __future__ import annotations

import os
from pathlib import Path

from augpipe.formats.align import aligned
from augpipe.formats.base import Dataset, Entry, read_picture
from augpipe.pixels.codec import PictureFormat
from augpipe.pixels.header import read_header
from augpipe.recipe.draw import draw
from augpipe.recipe.model import Recipe
from augpipe.run.dry import spread
from augpipe.sample import Frame
from augpipe.track import follow

_LOOKED_AT = 8
_PNG_BYTES, _JPEG_BYTES, _FINE_JPEG_BYTES = 2.0, 0.3, 0.8  # a pixel; photographs, three channels
_RECORD = 3000


def remark_on_space(folder: Path, needed: int) -> str | None:
    """A sentence if the disk of ``folder`` has less room than ``needed`` bytes."""
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    try:
        status = os.statvfs(there)
    except OSError:  # a guess must not stop a run
        return None
    free = status.f_bavail * status.f_frsize
    if free >= needed:
        return None
    return (
        f"about {_size(needed)} will be written, and {folder} has room for {_size(free)}; "
        "when the disk is full the run stops, and goes on after room was made"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def bytes_of_samples(dataset: Dataset, recipe: Recipe, seed: int, picture: PictureFormat, samples: int) -> int:
    """About how many bytes so many samples take."""
    sizes = [size for entry in spread(dataset, _LOOKED_AT).entries if (size := _pixels(dataset, entry, recipe, seed))]
    if not sizes:
        return 0
    fine = picture.quality > 95 or picture.subsampling == "4:4:4"
    per_pixel = _PNG_BYTES if picture.format == "png" else _FINE_JPEG_BYTES if fine else _JPEG_BYTES
    return round(samples * (sum(sizes) / len(sizes) * per_pixel + _RECORD))


def _pixels(dataset: Dataset, entry: Entry, recipe: Recipe, seed: int) -> int:
    """Pixels of the first copy of a picture; 0 if it cannot be read."""
    try:
        header = read_header(read_picture(entry))
        annotations = aligned(dataset.reader.annotations(entry), header, dataset.options.exif)
        plan = draw(recipe, Frame(entry.key, header.upright_wh, annotations), seed, 0)
    except Exception:  # a guess must not stop a run, which has its own ways with such pictures
        return 0
    width, height = follow(plan.steps, header.upright_wh).size_wh
    return width * height
