"""The contact sheet: a row for each source picture, the original first and its copies beside it, labels drawn.

Pictures are shrunk first and drawn on after, so lines and letters are crisp at every size.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from augpipe.core.annotations import U8, Annotations, Category
from augpipe.core.errors import RunError, UsageError, one_line
from augpipe.core.opencv import cv2
from augpipe.core.paths import StrPath, local_path
from augpipe.core.plan import Rgb
from augpipe.viz import canvas as ink
from augpipe.viz.canvas import Canvas, color_of
from augpipe.viz.labels import classes_of, draw_labels, label_of, name_of

__all__ = ["Tile", "color_of", "draw_labels", "save_png", "sheet", "thumbnail"]

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


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet, as it is written, gray or RGB, with its labels in its own coordinates."""

    picture_rgb: U8
    annotations: Annotations
    caption: str = ""
    heading: str | None = None


@dataclass(frozen=True, eq=False)
class _Row:
    key: str
    tiles: Sequence[Tile]
    pictures: Sequence[U8]

    @property
    def key_height(self) -> int:
        return KEY_HEIGHT if self.key else 0

    @property
    def picture_height(self) -> int:
        return max((picture.shape[0] for picture in self.pictures), default=0)

    @property
    def height(self) -> int:
        captions = CAPTION_HEIGHT if any(tile.caption for tile in self.tiles) else 0
        return self.key_height + self.picture_height + captions


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
        tile_px: no side of a picture is larger on the sheet. Small pictures grow by whole factors, pixel by pixel.
        title: a line above everything.
        keys: what to call each row, such as the source key, written above it.
    """
    names = [*map(ink.shown, keys), *[""] * (len(rows) - len(keys))]
    filled = [_Row(names[i], row, [_drawn(t, categories, tile_px) for t in row]) for i, row in enumerate(rows) if row]
    columns = max((len(row.tiles) for row in filled), default=1)
    width = 2 * MARGIN + columns * tile_px + (columns - 1) * GAP
    legend = _legend([tile for row in filled for tile in row.tiles], categories, width - 2 * MARGIN)
    headings = _headings(filled, columns)
    head = (TITLE_HEIGHT if title else 0) + len(legend) * LEGEND_LINE + (HEADING_HEIGHT if any(headings) else 0)
    body = sum(row.height for row in filled) + ROW_GAP * max(0, len(filled) - 1)
    canvas = Canvas(np.full((2 * MARGIN + head + body, width, 3), _GROUND, np.uint8))
    y = MARGIN
    if title:
        canvas.text(ink.fitted(ink.shown(title), 19.0, width - 2 * MARGIN), (MARGIN, y + 15), 19.0, _INK)
        y += TITLE_HEIGHT
    for line in legend:
        _write_legend(canvas, line, y)
        y += LEGEND_LINE
    if any(headings):
        for column, heading in enumerate(headings):
            _centred(canvas, heading, column, tile_px, y + 19, 13.0, _INK)
        y += HEADING_HEIGHT
    for row in filled:
        _write_row(canvas, row, y, tile_px)
        y += row.height + ROW_GAP
    return canvas.pixels


def thumbnail(picture: U8, tile_px: int) -> tuple[U8, tuple[float, float]]:
    """The picture as large as fits a square of ``tile_px``, and its scale in x and y.

    Small pictures grow by whole factors only, so that every pixel stays a square.
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


def _drawn(tile: Tile, categories: Mapping[int, Category], tile_px: int) -> U8:
    picture, scale_xy = thumbnail(tile.picture_rgb, tile_px)
    return draw_labels(picture, tile.annotations, categories, scale_xy)


def _headings(rows: Sequence[_Row], columns: int) -> list[str]:
    """The first heading that a tile of each column has."""
    found = [""] * columns
    for row in reversed(rows):
        for i, tile in enumerate(row.tiles):
            found[i] = tile.heading or found[i]
    return [ink.shown(heading) for heading in found]


def _write_row(canvas: Canvas, row: _Row, y: int, tile_px: int) -> None:
    if row.key:
        whole = canvas.size_wh[0] - 2 * MARGIN
        canvas.text(ink.fitted(row.key, 12.0, whole), (MARGIN, y + 14), 12.0, _INK)
        y += row.key_height
    for column, (tile, picture) in enumerate(zip(row.tiles, row.pictures, strict=True)):
        h, w = picture.shape[:2]
        x = MARGIN + column * (tile_px + GAP) + (tile_px - w) // 2
        top = y + (row.picture_height - h) // 2
        canvas.pixels[top : top + h, x : x + w] = picture
        canvas.frame((x, top, x + w, top + h), -1.0, _HAIR)
        _centred(canvas, ink.shown(tile.caption), column, tile_px, y + row.picture_height + 14, 11.0, _SOFT)


def _centred(canvas: Canvas, words: str, column: int, tile_px: int, baseline: int, size: float, color: Rgb) -> None:
    words = ink.fitted(words, size, tile_px)
    x = MARGIN + column * (tile_px + GAP) + (tile_px - ink.text_width(words, size)) / 2.0
    canvas.text(words, (x, baseline), size, color)


_LegendLine = list[tuple[int, str, Rgb | None]]


def _legend(tiles: Sequence[Tile], categories: Mapping[int, Category], width: int) -> list[_LegendLine]:
    """Lines of (x, class name, colour) for the classes that are drawn; what does not fit is counted."""
    used = {category_id for tile in tiles for category_id in classes_of(tile.annotations, categories)}
    lines: list[_LegendLine] = []
    x = width + 1.0
    ordered = sorted(used, key=lambda c: (label_of(categories.get(c), c), c))
    for done, category_id in enumerate(ordered):
        category = categories.get(category_id)
        name = ink.fitted(name_of(category, category_id), 12.0, min(200, width - 18))
        reach = 18 + ink.text_width(name, 12.0)
        spare = 70 if len(lines) == _LEGEND_LINES and done < len(ordered) - 1 else 0
        if x + reach + spare > width:
            if len(lines) == _LEGEND_LINES:
                lines[-1].append((round(x), f"+ {len(ordered) - done} more", None))
                break
            lines.append([])
            x = 0.0
        lines[-1].append((round(x), name, color_of(label_of(category, category_id))))
        x += reach + 16
    return lines


def _write_legend(canvas: Canvas, line: _LegendLine, y: int) -> None:
    for x, name, color in line:
        left = MARGIN + x
        if color is not None:
            canvas.plate((left, y + 2, left + 12, y + 14), 3.0, color)
            left += 18
        canvas.text(name, (left, y + 12), 12.0, _INK if color is not None else _SOFT)
