"""Blur, noise and compression of Albumentations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from augpipe.recipe.importing.given import Given, Pair, Unreadable
from augpipe.recipe.importing.rows import Row, Step, odd, plus, roots, row, sigma_of_kernel, times, whole, within

_KERNELS = (3.0, 7.0)
_MOST_SIGMA = 50.0


def _kernels(given: Given, default: Pair = _KERNELS) -> Pair:
    """Sides of kernels; one number k is 3 to k there."""
    low, high = given.pair("blur_limit", default)
    return (low, high) if isinstance(given.raw("blur_limit"), list) else (min(3.0, high), high)


def _side(most: int, least: int = 1) -> Callable[[Given], tuple[int, int]]:
    def value(given: Given) -> tuple[int, int]:
        low, high = odd(given, "size", _kernels(given), most)
        return max(low, least), max(high, least)

    return value


def _sigma(given: Given) -> Pair:
    sigma, sides = given.pair("sigma_limit", (0.5, 3.0)), _kernels(given, (0.0, 0.0))
    if sigma[1] <= 0.0:
        sides = sides if sides[1] > 0.0 else _KERNELS
        sigma = sigma_of_kernel(max(3.0, sides[0])), sigma_of_kernel(max(3.0, sides[1]))
    return max(0.1, sigma[0]), min(_MOST_SIGMA, max(0.1, sigma[1]))


def _widest(given: Given) -> Pair:
    x, y = given.pair("sigma_x_limit", (0.2, 1.0)), given.pair("sigma_y_limit", (0.2, 1.0))
    given.quiet("blur_limit", "rotate_limit", "beta_limit", "noise_limit", "sigmaX_limit", "sigmaY_limit")
    return max(0.1, min(x[0], y[0])), min(_MOST_SIGMA, max(0.1, x[1], y[1]))


def _unsharp_sigma(given: Given) -> float:
    given.quiet("threshold")
    sigma = given.pair("sigma_limit", (0.0, 0.0))
    sides = _kernels(given)
    middle = sum(sigma) / 2.0 if sigma[1] > 0.0 else sigma_of_kernel(sum(sides) / 2.0)
    return min(5.0, max(0.3, middle))


def _sharpened(given: Given) -> Sequence[Step]:
    alpha = given.pair("alpha", (0.2, 0.5))
    given.quiet("lightness", "kernel_size")
    if given.word("method", "kernel") == "gaussian":
        amount, sigma = alpha, min(5.0, max(0.3, given.number("sigma", 1.0)))
    else:  # the center against the mean of its eight neighbors, which is about a Gaussian of 0.8
        given.quiet("sigma")
        amount, sigma = times(alpha, 8.0), 0.8
    return [("sharpen", {"amount": within(given, "amount", amount, 0, 5), "sigma": sigma})]


def _embossed(given: Given) -> Pair:
    alpha, strength = given.pair("alpha", (0.2, 0.5)), given.pair("strength", (0.2, 0.7))
    return within(given, "amount", (alpha[0] * (1.0 + strength[0]), alpha[1] * (1.0 + strength[1])), 0, 5)


def _gauss(given: Given) -> Sequence[Step]:
    if given.has("var_limit"):  # before version 2, in squares of levels
        low, high = given.pair("var_limit", (10.0, 50.0))
        std = roots((low if isinstance(given.raw("var_limit"), list) else 0.0, high))
    else:
        std = times(given.pair("std_range", (0.2, 0.44)), 255.0)
    if any(given.pair("mean_range", (0.0, 0.0))) or given.number("mean", 0.0):
        given.note("the mean of the noise is 0 here")
    if given.number("noise_scale_factor", 1.0) != 1.0:
        given.note("each pixel has noise of its own here")
    made = {"std": within(given, "std", std, 0, 128)}
    return [("gaussian_noise", made if given.flag("per_channel", True) else {**made, "shared": True})]


def _imgaug_noise(given: Given) -> Pair:
    given.quiet("loc", "per_channel")
    return within(given, "std", given.pair("scale", (2.55, 12.75)), 0, 128)


def _multiplied(given: Given) -> Sequence[Step]:
    low, high = given.pair("multiplier", (0.9, 1.1))
    apart = given.flag("per_channel", False)
    if given.flag("elementwise", False):
        given.note("normal about 1 with the same deviation, theirs even")
        return [("speckle_noise", {"std": within(given, "std", _even((low, high)), 0, 0.5)})]
    if apart:
        given.note("one factor for all channels")
    return [("brightness_contrast", {"brightness": plus((low, high), -1.0)})]


def _even(pair: Pair) -> Pair:
    """The standard deviation of an even distribution, as a range of one value."""
    std = (pair[1] - pair[0]) / math.sqrt(12.0)
    return std, std


def _salt(given: Given) -> float:
    low, high = given.pair("salt_vs_pepper", (0.4, 0.6))
    if low != high:
        given.note("one share of salt, the middle of theirs")
    return (low + high) / 2.0


def _dropped(given: Given) -> Sequence[Step]:
    if given.flag("per_channel", False):
        given.note("all channels of a pixel together")
    fill = given.color("drop_value", "fill")
    if isinstance(fill, list):
        given.note("one level for all channels")
        fill = fill[0]
    given.quiet("mask_drop_value")
    return [("pixel_dropout", {"amount": given.number("dropout_prob", 0.01), "fill": fill})]


def _quality(given: Given) -> tuple[int, int]:
    kind = str(given.raw("compression_type") or "jpeg").lower()
    if kind not in ("jpeg", "0", "imagecompressiontype.jpeg"):
        raise Unreadable("compression_type: there is JPEG alone here")
    return whole(
        within(given, "quality", given.ends("quality_range", "quality_lower", "quality_upper", (99, 100)), 1, 100)
    )


def _factor(given: Given) -> tuple[int, int]:
    low, high = given.ends("scale_range", "scale_min", "scale_max", (0.25, 0.25))
    if low <= 0.0:
        raise Unreadable("scale_range: expected shares above 0")
    return whole(within(given, "factor", (1.0 / high, 1.0 / low), 1, 64))


def _up(given: Given) -> str:
    pair = given.raw("interpolation_pair")
    up = pair.get("upscale", 0) if isinstance(pair, dict) else given.raw("interpolation")
    given.quiet("interpolation")
    return "nearest" if up in (None, 0) or isinstance(up, dict) else "linear"


_CUT = "kernel is cut at 3 sigma, theirs at blur_limit"

BLURS: dict[str, Row] = {
    "Blur": row("box_blur", size=_side(63)),
    "MedianBlur": row("median_blur", size=_side(7, 3)),
    "GaussianBlur": row("gaussian_blur", _CUT, sigma=_sigma),
    "AdvancedBlur": row("gaussian_blur", "as wide in all directions, and without noise in the kernel", sigma=_widest),
    "MotionBlur": row(
        "motion_blur",
        "lines have smooth ends",
        length=lambda given: within(given, "length", _kernels(given), 1, 62),
        angle=lambda given: within(given, "angle", given.pair("angle_range", (0.0, 360.0)), 0, 360),
        lean=lambda given: within(given, "lean", given.span("direction_range", (-1.0, 1.0)), -1, 1),
        quiet="allow_shifted",
    ),
    "Defocus": row(
        "defocus",
        "the rim of the disc is sharp",
        radius=lambda given: within(given, "radius", given.pair("radius", (3.0, 10.0)), 0.5, 16),
        quiet="alias_blur",
    ),
    **dict.fromkeys(("Sharpen", "IAASharpen"), Row(_sharpened, "without lightness, so light stays as it is")),
    "UnsharpMask": row(
        "sharpen",
        "everywhere, theirs from a threshold on",
        amount=lambda given: within(given, "amount", given.pair("alpha", (0.2, 0.5)), 0, 5),
        sigma=_unsharp_sigma,
    ),
    **dict.fromkeys(("Emboss", "IAAEmboss"), row("emboss", "light from the corner alone", amount=_embossed)),
    "GaussNoise": Row(_gauss),
    "IAAAdditiveGaussianNoise": row("gaussian_noise", "of its own in each channel", std=_imgaug_noise),
    "ISONoise": row(
        "iso_noise",
        "noise grows with the light, theirs with the picture's contrast",
        strength=lambda given: within(given, "strength", given.pair("intensity", (0.1, 0.5)), 0, 32),
        quiet="color_shift",
    ),
    "ShotNoise": row(
        "shot_noise",
        "of levels, theirs of linear light",
        strength=lambda given: within(given, "strength", times(given.pair("scale_range", (0.1, 0.3)), 255.0), 0, 64),
    ),
    "MultiplicativeNoise": Row(_multiplied),
    "SaltAndPepper": row("salt_and_pepper", amount=lambda given: given.pair("amount", (0.01, 0.06)), salt=_salt),
    "PixelDropout": Row(_dropped),
    **dict.fromkeys(("ImageCompression", "JpegCompression"), row("jpeg", quality=_quality)),
    "Downscale": row("downscale", "whole factors, and means of blocks", factor=_factor, up=_up),
}
