"""What may differ, and why: the one table of the backends. docs/gpu.md shows it; a test compares the two."""

from __future__ import annotations

Tolerance = tuple[int, float, str]
"""(greatest difference in levels, least share of equal values, reason)."""

REFERENCE: dict[str, Tolerance] = {
    "exact move": (0, 1.0, "copies"),
    "warp of smooth": (1, 0.999, "neighbours differ by less than 16 levels, and 16/32 in x and in y make one level"),
    "warp of photo": (8, 0.999, "rare positions a 1/32 step apart, at edges of up to 8 · 32/2 levels"),
    "warp of noise": (16, 0.99, "a 1/32 step in x and in y between black and white: 2 · 255/32 levels"),
    "warp on ties": (16, 0.8, "a scale such as 6.4 puts whole rows of positions on the boundary of the 1/32 grid"),
    "colour": (0, 1.0, "integers on both sides"),
    "filter of photo": (1, 0.75, "OpenCV's weights are whole 1/256, the reference's tails longer than 3 sigma"),
    "filter of noise": (2, 0.4, "the same, where every neighbour may differ by 255 levels"),
    "noise": (0, 1.0, "integers on both sides"),
    "erase": (0, 1.0, "copies"),
    "bars": (0, 1.0, "copies"),
    "recode": (0, 1.0, "OpenCV and Pillow both bring libjpeg-turbo, with the accurate DCT and smooth chroma"),
}
"""A backend against the slow float64 reference."""

DEVICE: dict[str, Tolerance] = {
    "exact move": (0, 1.0, "copies"),
    "warp": (0, 1.0, "the same float32 additions, one division, the same rounding to 1/32, integers behind it"),
    "reduce": (0, 1.0, "sums are whole; one float32 product, rounded half to even, on both sides"),
    "colour": (0, 1.0, "integers and tables on both sides"),
    "filter": (0, 1.0, "whole weights, asked of OpenCV; no rounding but the last"),
    "noise": (0, 1.0, "the same bank, integers"),
    "erase": (0, 1.0, "copies"),
    "bars": (0, 1.0, "the same float64 products and sums"),
    "recode": (0, 1.0, "the kernels compute what libjpeg-turbo computes, in the same integers"),
}
"""A device against the CPU backend, from the same decoded picture."""
