"""The contact sheet: a row for each source picture, the original first and its copies beside it, labels drawn.

Pictures are shrunk before labels are drawn on them, so lines and letters are crisp at every size.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from PIL import Image

from augpipe.core.annotations import U8, Annotations, Category
from augpipe.core.errors import RunError, UsageError, one_line
from augpipe.core.opencv import cv2
from augpipe.core.paths import StrPath, local_path
from augpipe.core.plan import Rgb
from augpipe.viz.canvas import Canvas, color_of, fitted, shown, text_width
from augpipe.viz.labels import classes_of, draw_labels, label_of, name_of

MARGIN = 24
GAP = 10
TITLE_HEIGHT = 34
LEGEND_LINE = 22
HEADING_HEIGHT = 30
KEY_HEIGHT = 22
CAPTION_HEIGHT = 20
ROW_GAP = 14

_GROUND: Rgb = (247, 247, 245)
_INK: Rgb = (32, 33, 36)
_SOFT: Rgb = (105, 107, 112)
_HAIR: Rgb = (205, 205, 202)
_LEGEND_LINES = 3

_Block: TypeAlias = tuple[int, Callable[[Canvas, int], None]]
"""A part of the sheet as wide as all of it: its height, and what draws it from a y on."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet, as it is written, gray or RGB, with its labels in its own coordinates."""

    picture_rgb: U8
    annotations: Annotations
    caption: str = ""
    heading: str | None = None


def sheet(
    rows: Sequence[Sequence[Tile]],
    categories: Mapping[int, Category],
    *,
    tile_px: int = 320,
    title: str | None = None,
    keys: Sequence[str] = (),
) -> U8:
    """One RGB picture of all tiles.

    Args:
        rows: a row for each source picture; they may differ in length.
        categories: by id, for colours and names.
        tile_px: the longest side of a picture on the sheet. Small pictures grow by whole factors, pixel by pixel.
        title: a line above everything.
        keys: what to call each row, such as the source key, written above it.
    """
    names = [*keys, *[""] * (len(rows) - len(keys))]
    filled = [(name, row) for name, row in zip(names, rows, strict=False) if row]
    columns = max((len(row) for _, row in filled), default=1)
    width = columns * tile_px + (columns - 1) * GAP
    blocks: list[_Block] = []
    if title:
        words = fitted(shown(title), 19.0, width)
        blocks.append((TITLE_HEIGHT, lambda canvas, y: canvas.text(words, (MARGIN, y + 15), 19.0, _INK)))
    blocks += _legend([tile for _, row in filled for tile in row], categories, width)
    blocks += _headings([row for _, row in filled], tile_px)
    for number, (name, row) in enumerate(filled):
        blocks += [(ROW_GAP, lambda canvas, y: None)] if number else []
        blocks += _row(shown(name), row, categories, tile_px, width)
    height = 2 * MARGIN + sum(height for height, _ in blocks)
    canvas, y = Canvas(np.full((height, width + 2 * MARGIN, 3), _GROUND, np.uint8)), MARGIN
    for height, draw in blocks:
        draw(canvas, y)
        y += height
    return canvas.pixels


def thumbnail(picture: U8, tile_px: int) -> tuple[U8, tuple[float, float]]:
    """The picture as large as fits a square of ``tile_px``, and its scale in x and y.

    Small pictures grow by whole factors only, which keeps pixels square.
    """
    h, w = picture.shape[:2]
    fit = tile_px / max(h, w)
    if fit >= 1.0:
        times = int(fit)
        return picture.repeat(times, axis=0).repeat(times, axis=1), (float(times), float(times))
    size = (max(1, round(w * fit)), max(1, round(h * fit)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), (size[0] / w, size[1] / h)


def save_png(path: StrPath, picture: U8) -> None:
    """Write a picture (gray or RGB) whole or not at all.

    Raises:
        UsageError: the name does not end in .png, or its folder does not exist or cannot be written to.
        RunError: writing failed half way, for instance on a full disk.
    """
    target = local_path(path, "the picture")
    said = one_line(target)
    if target.suffix.lower() != ".png":
        raise UsageError(f"{said}: expected a name that ends in .png")
    if os.path.isdir(target):
        raise UsageError(f"{said} is a folder; expected the name of a file")
    if not os.path.isdir(target.parent):
        raise UsageError(f"{said}: its folder does not exist; make it first, or choose another place")
    temporary = target.parent / f".preview-{secrets.token_hex(6)}.tmp"
    try:
        Image.fromarray(picture).save(temporary, format="PNG")
        os.replace(temporary, target)
    except PermissionError as error:
        raise UsageError(f"{said}: its folder cannot be written to; choose another place") from error
    except OSError as error:
        raise RunError(f"{said} could not be written: {one_line(error.strerror or error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


# --- parts of a sheet ------------------------------------------------------------------------------------------------


def _row(
    name: str, tiles: Sequence[Tile], categories: Mapping[int, Category], tile_px: int, width: int
) -> list[_Block]:
    """The name of a row, its pictures side by side and centred, their captions."""
    thumbnails = [thumbnail(tile.picture_rgb, tile_px) for tile in tiles]
    pictures = [
        draw_labels(picture, tile.annotations, categories, scale_xy)
        for tile, (picture, scale_xy) in zip(tiles, thumbnails, strict=True)
    ]
    height = max(picture.shape[0] for picture in pictures)

    def draw_name(canvas: Canvas, y: int) -> None:
        canvas.text(fitted(name, 12.0, width), (MARGIN, y + 14), 12.0, _INK)

    def draw_pictures(canvas: Canvas, y: int) -> None:
        for column, picture in enumerate(pictures):
            h, w = picture.shape[:2]
            x = MARGIN + column * (tile_px + GAP) + (tile_px - w) // 2
            top = y + (height - h) // 2
            canvas.pixels[top : top + h, x : x + w] = picture
            canvas.frame((x, top, x + w, top + h), -1.0, _HAIR)

    def draw_captions(canvas: Canvas, y: int) -> None:
        _write_columns(canvas, [shown(tile.caption) for tile in tiles], tile_px, y + 14, 11.0, _SOFT)

    named, captioned = bool(name), any(tile.caption for tile in tiles)
    return [
        *([(KEY_HEIGHT, draw_name)] if named else []),
        (height, draw_pictures),
        *([(CAPTION_HEIGHT, draw_captions)] if captioned else []),
    ]


def _headings(rows: Sequence[Sequence[Tile]], tile_px: int) -> list[_Block]:
    """The first heading that a tile of each column has."""
    found: dict[int, str] = {}
    for row in rows:
        for column, tile in enumerate(row):
            found[column] = found.get(column) or shown(tile.heading or "")
    if not any(found.values()):
        return []
    words = [found[column] for column in sorted(found)]
    return [(HEADING_HEIGHT, lambda canvas, y: _write_columns(canvas, words, tile_px, y + 19, 13.0, _INK))]


def _write_columns(canvas: Canvas, words: Sequence[str], tile_px: int, baseline: int, size: float, color: Rgb) -> None:
    """Words centred in their columns."""
    for column, line in enumerate(fitted(line, size, tile_px) for line in words):
        x = MARGIN + column * (tile_px + GAP) + (tile_px - text_width(line, size)) / 2.0
        canvas.text(line, (x, baseline), size, color)


def _legend(tiles: Sequence[Tile], categories: Mapping[int, Category], width: int) -> list[_Block]:
    """Lines of the names of the classes that are drawn, each with its colour; what does not fit is counted."""
    used = {category_id for tile in tiles for category_id in classes_of(tile.annotations, categories)}
    lines: list[list[tuple[int, str, Rgb | None]]] = []
    x = width + 1.0
    ordered = sorted(used, key=lambda c: (label_of(categories.get(c), c), c))
    for done, category_id in enumerate(ordered):
        category = categories.get(category_id)
        name = fitted(name_of(category, category_id), 12.0, min(200, width - 18))
        reach = 18 + text_width(name, 12.0)
        spare = 70 if len(lines) == _LEGEND_LINES and done < len(ordered) - 1 else 0
        if x + reach + spare > width:
            if len(lines) == _LEGEND_LINES:
                lines[-1].append((round(x), f"+ {len(ordered) - done} more", None))
                break
            lines.append([])
            x = 0.0
        lines[-1].append((round(x), name, color_of(label_of(category, category_id))))
        x += reach + 16
    return [(LEGEND_LINE, partial(_write_legend, line)) for line in lines]


def _write_legend(line: Sequence[tuple[int, str, Rgb | None]], canvas: Canvas, y: int) -> None:
    for x, name, color in line:
        left = MARGIN + x
        if color is not None:
            canvas.plate((left, y + 2, left + 12, y + 14), 3.0, color)
            left += 18
        canvas.text(name, (left, y + 12), 12.0, _INK if color is not None else _SOFT)
