"""Antialiased drawing: a mark is a coverage, the share of each pixel that its geometry takes, blended with a colour.

A box at x = 10.25 covers three quarters of column 10. The coverage of lines and dots comes from the distance to pixel
centres, that of boxes and masks from areas. Coordinates are those of :mod:`augpipe.core.geometry`.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from augpipe.core.annotations import F64, U8
from augpipe.core.errors import one_line
from augpipe.core.opencv import cv2
from augpipe.core.plan import Rgb
from augpipe.labels.rle import bitmap_of_rings

F32: TypeAlias = NDArray[np.float32]
Box: TypeAlias = tuple[float, float, float, float]
Point: TypeAlias = tuple[float, float]
Window: TypeAlias = tuple[int, int, int, int]
"""Whole pixels x0, y0, x1, y1 of a picture; x1 = x0 or y1 = y0 where there are none."""

BLACK: Rgb = (0, 0, 0)
WHITE: Rgb = (255, 255, 255)

# Spread in OKLab: eight are chosen by hand, each further one is the farthest from all before it.
_PALETTE = bytes.fromhex(
    "3faff3f9953240d868f537a1f2e32f9a6af5fd2c2937eee2fcc0f9798940b36675dc03efed7ef8fb89a024b6a12e79f5"
    "aeb96eb09ee304a3229ffd28c2f6b6bf7101238ea9b751b57d76b9f7c8857ad1f7c67ab4e96e4daf2bfc84a81d46fbae"
)


def color_of(label: int) -> Rgb:
    """The colour of the category with a ``label`` of 1, 2, …: 32 distinct ones, then the same lighter, then darker."""
    turn, place = divmod(label - 1, len(_PALETTE) // 3)
    plain = _PALETTE[3 * place : 3 * place + 3]
    ground, share = ((0, 0.0), (255, 0.3), (0, 0.3))[turn % 3]
    red, green, blue = (round(level + share * (ground - level)) for level in plain)
    return red, green, blue


def text_color_on(ground: Rgb) -> Rgb:
    """Black or white, whichever reads better."""
    luma = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]
    return (20, 20, 20) if luma > 125 else WHITE


def rgb_copy(picture: U8) -> U8:
    """A copy of a gray (H, W) or RGB (H, W, 3) picture as RGB."""
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture.copy()


class Canvas:
    """A picture being drawn on; ``pixels`` is its own RGB copy. Marks beyond its edges are cut."""

    def __init__(self, picture: U8) -> None:
        self.pixels = rgb_copy(picture)
        self.size_wh = (self.pixels.shape[1], self.pixels.shape[0])

    def lay(self, coverage: F32, at: tuple[int, int], color: Rgb, opacity: float = 1.0) -> None:
        """Blend ``color`` into the pixels from the top left one ``at`` on, by a coverage of 0..1."""
        (w, h), (x, y) = self.size_wh, at
        x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + coverage.shape[1]), min(h, y + coverage.shape[0])
        if x1 > x0 and y1 > y0:
            share = coverage[y0 - y : y1 - y, x0 - x : x1 - x, None] * np.float32(opacity)
            under = self.pixels[y0:y1, x0:x1]
            under[...] = np.rint(under + share * (np.asarray(color, np.float32) - under))

    def window(self, bounds: Box, margin: float = 0.0) -> Window:
        """The pixels of the picture in and around ``bounds``."""
        w, h = self.size_wh
        x0, y0 = (math.floor(max(0.0, min(v - margin, side))) for v, side in zip(bounds[:2], (w, h), strict=True))
        x1, y1 = (math.ceil(max(0.0, min(v + margin, side))) for v, side in zip(bounds[2:], (w, h), strict=True))
        return x0, y0, max(x0, x1), max(y0, y1)

    def frame(self, box: Box, width: float, color: Rgb, opacity: float = 1.0) -> None:
        """A line of ``width`` along the inside of a box; a negative width runs along its outside."""
        x0, y0, x1, y1 = box
        moved = (x0 + width, y0 + width, x1 - width, y1 - width)
        outer, inner = (box, moved) if width >= 0.0 else (moved, box)
        window = self.window(outer)
        self.lay(box_coverage(outer, window) - box_coverage(inner, window), window[:2], color, opacity)

    def lines(
        self,
        points: Sequence[Point],
        width: float,
        color: Rgb,
        opacity: float = 1.0,
        dash: float = 0.0,
        closed: bool = False,
    ) -> None:
        """A line centred on a way through ``points``, with round ends; ``dash`` is the length of a dash and a gap."""
        ends = [*points[1:], points[0]] if closed else points[1:]
        x0, y0, x1, y1 = self.window(_bounds(points), width / 2.0 + 1.0)
        coverage = np.zeros((y1 - y0, x1 - x0), np.float32)
        for start, end in zip(points, ends, strict=False):
            a, b, c, d = part = self.window(_bounds((start, end)), width / 2.0 + 1.0)
            under = coverage[b - y0 : d - y0, a - x0 : c - x0]
            np.maximum(under, _segment(start, end, width, dash, part), out=under)
        self.lay(coverage, (x0, y0), color, opacity)

    def disc(self, centre: Point, radius: float, color: Rgb, opacity: float = 1.0, hole: float = 0.0) -> None:
        """A round dot; with a ``hole`` of that radius it is a ring."""
        x, y = centre
        window = self.window((x, y, x, y), radius + 1.0)
        xs, ys = _centres(window)
        away = np.hypot(xs - np.float32(x), ys - np.float32(y))
        coverage = np.clip(radius + 0.5 - away, 0.0, 1.0)
        if hole > 0.0:
            coverage -= np.clip(hole + 0.5 - away, 0.0, 1.0)
        self.lay(coverage, window[:2], color, opacity)

    def plate(self, box: Box, radius: float, color: Rgb, opacity: float = 1.0) -> None:
        """A filled box with round corners."""
        window = self.window(box)
        xs, ys = _centres(window)
        half_w, half_h = (box[2] - box[0]) / 2.0, (box[3] - box[1]) / 2.0
        across = np.maximum(np.abs(xs - np.float32(box[0] + half_w)) - np.float32(half_w - radius), 0.0)
        down = np.maximum(np.abs(ys - np.float32(box[1] + half_h)) - np.float32(half_h - radius), 0.0)
        self.lay(np.clip(radius + 0.5 - np.hypot(across, down), 0.0, 1.0), window[:2], color, opacity)

    def text(self, words: str, baseline: Point, size: float, color: Rgb, opacity: float = 1.0) -> None:
        """Words from a point on the baseline on, which is moved to a whole pixel so that letters stay crisp."""
        if words:
            coverage, (dx, dy) = _text(words, size)
            self.lay(coverage, (round(baseline[0]) + dx, round(baseline[1]) + dy), color, opacity)


# --- coverages -------------------------------------------------------------------------------------------------------


def _bounds(points: Sequence[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _centres(window: Window) -> tuple[F32, F32]:
    x0, y0, x1, y1 = window
    return np.arange(x0, x1, dtype=np.float32)[None] + 0.5, np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5


def box_coverage(box: Box, window: Window) -> F32:
    """How much of each pixel of ``window`` a box covers."""
    sides = []
    for low, high, first, end in ((box[0], box[2], window[0], window[2]), (box[1], box[3], window[1], window[3])):
        starts = np.arange(first, end, dtype=np.float32)
        sides.append(np.clip(np.minimum(starts + 1.0, high) - np.maximum(starts, low), 0.0, 1.0).astype(np.float32))
    return np.outer(sides[1], sides[0])


def _segment(start: Point, end: Point, width: float, dash: float, window: Window) -> F32:
    xs, ys = _centres(window)
    xs, ys = xs - np.float32(start[0]), ys - np.float32(start[1])
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    ux, uy = (dx / length, dy / length) if length > 0.0 else (1.0, 0.0)
    along = xs * np.float32(ux) + ys * np.float32(uy)
    held = np.clip(along, 0.0, np.float32(length))
    away = np.hypot(xs - held * np.float32(ux), ys - held * np.float32(uy))
    coverage: F32 = np.clip(np.float32(width / 2.0 + 0.5) - away, 0.0, min(1.0, width))
    return coverage * _waves(along, 2.0 * dash) if dash > 0.0 else coverage


def _waves(along: F32, period: float, share: float = 0.5) -> F32:
    """1 over the ``share`` of every period that starts with 0, else 0, with soft edges a pixel wide."""
    half = np.float32(period * share / 2.0)
    away = np.abs((along - half + np.float32(period / 2.0)) % np.float32(period) - np.float32(period / 2.0))
    waves: F32 = np.clip(half + np.float32(0.5) - away, 0.0, 1.0)
    return waves


def hatched(coverage: F32, at: tuple[int, int], period: float, share: float = 0.3) -> F32:
    """The part of a coverage that lies on slanted stripes, the same stripes all over the picture."""
    h, w = coverage.shape
    xs, ys = _centres((at[0], at[1], at[0] + w, at[1] + h))
    striped: F32 = coverage * _waves((xs + ys) / np.float32(math.sqrt(2.0)), period, share)
    return striped


def rim_of(coverage: F32, width: int) -> F32:
    """A line of ``width`` along the inside of a shape; there is none along the edge of the array."""
    side = 2 * width + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    rim: F32 = coverage - cv2.erode(coverage, kernel)
    return rim


def rings_coverage(rings: Sequence[F64], window: Window) -> F32:
    """How much of each pixel of ``window`` polygons cover together, to a sixteenth (a whole pixel in huge windows)."""
    x0, y0, x1, y1 = window
    w, h = x1 - x0, y1 - y0
    finer = 4 if w * h <= 500_000 else 1
    far = 4.0 * finer * max(w, h)
    placed = [np.clip((ring - (x0, y0)) * finer, -far, 2.0 * far) for ring in rings]
    fine = bitmap_of_rings(placed, (w * finer, h * finer))
    coverage: F32 = fine.reshape(h, finer, w, finer).mean(axis=(1, 3), dtype=np.float32)
    return coverage


def bitmap_coverage(bitmap: U8, at: tuple[int, int], scale_xy: tuple[float, float], window: Window) -> F32:
    """How much of each pixel of ``window`` a scaled bitmap of 0 and 1 covers, exactly; ``at`` is before scaling."""
    x0, y0, x1, y1 = window
    (sx, sy), (left, top) = scale_xy, at
    across = _integrals(bitmap.T.astype(np.float32), np.arange(x0, x1 + 1) / sx - left)
    both: F32 = _integrals(np.ascontiguousarray(across.T), np.arange(y0, y1 + 1) / sy - top) * np.float32(sx * sy)
    return np.clip(both, 0.0, 1.0)


def _integrals(rows: F32, edges: F64) -> F32:
    """The integral of rows (each one unit long, nothing around them) from every edge to the next."""
    count = len(rows)
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    edges = np.clip(edges, 0.0, count)
    whole = np.minimum(edges.astype(np.int64), count - 1)
    reached = total[whole] + (edges - whole)[:, None] * rows[whole]
    return np.diff(reached, axis=0).astype(np.float32)


# --- words -----------------------------------------------------------------------------------------------------------

_PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss", "ø": "o"})


def shown(text: object) -> str:
    """``text`` on one line, in letters that the built-in font has; others lose their accents or become '?'."""
    letters = []
    for letter in one_line(text).translate(_PLAIN):
        bare = [c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c)]
        letters += [letter] if _in_font(letter) else [c if _in_font(c) else "?" for c in bare]
    return "".join(letters)


def fitted(words: str, size: float, width: float) -> str:
    """As much of ``words`` as fits into ``width`` pixels, with an ellipsis where something is missing."""
    if text_width(words, size) <= width:
        return words
    count = bisect_left(range(1, len(words)), True, key=lambda n: text_width(words[:n].rstrip() + "…", size) > width)
    return words[:count].rstrip() + "…" if count else ""


@lru_cache(maxsize=4096)
def text_width(words: str, size: float) -> float:
    """The advance of words in pixels."""
    return float(_font(size).getlength(words))


def cap_height(size: float) -> float:
    """The height of capital letters in pixels."""
    return 0.72 * size


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(maxsize=4096)
def _in_font(letter: str) -> bool:
    """Whether the font has a letter: it draws something else than for one that it lacks."""
    font = _font(16.0)
    mask, missing = font.getmask(letter), font.getmask("\uffff")
    return mask.size != missing.size or bytes(mask) != bytes(missing)


@lru_cache(maxsize=512)
def _text(words: str, size: float) -> tuple[F32, tuple[int, int]]:
    """The coverage of words, and its top left pixel from the start of the baseline."""
    left, top, right, bottom = _font(size).getbbox(words, anchor="ls")
    x0, y0 = math.floor(left) - 1, math.floor(top) - 1
    image = Image.new("L", (math.ceil(right) - x0 + 1, math.ceil(bottom) - y0 + 1))
    ImageDraw.Draw(image).text((-x0, -y0), words, fill=255, font=_font(size), anchor="ls")
    return np.asarray(image, np.float32) / np.float32(255.0), (x0, y0)
