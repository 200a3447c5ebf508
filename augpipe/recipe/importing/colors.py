"""Color of Albumentations: levels, channels, curves and statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from augpipe.recipe.importing.given import Given, Pair, Unreadable
from augpipe.recipe.importing.rows import Row, plus, row, times, whole, within

_USUAL = (-0.2, 0.2)
_YIQ = "chroma is that of YIQ here, theirs of HSV"


def _offset(name: str) -> Callable[[Given], Pair]:
    def value(given: Given) -> Pair:
        if not given.flag("brightness_by_max", True):
            given.note("brightness is a share of 255, theirs of the picture's mean")
        return within(given, "offset", given.span(name, _USUAL), -1, 1)

    return value


def _change(name: str) -> Callable[[Given], Pair]:
    return lambda given: plus(given.pair(name, (0.8, 1.2)), -1.0)


def _levels(name: str) -> Callable[[Given], Pair]:
    return lambda given: within(given, name, given.span(name, (-20.0, 20.0)), -255, 255)


def _share(name: str, default: Pair, full: float) -> Callable[[Given], Pair]:
    return lambda given: times(given.span(name, default), 1.0 / full)


def _bits(given: Given) -> Any:
    value = given.raw("num_bits")
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        if len({str(item) for item in value}) > 1:
            raise Unreadable("num_bits: bits apart for each channel cannot be written here")
        return whole(Given({"num_bits": value[0]}).pair("num_bits", (4.0, 4.0)))
    return whole(given.pair("num_bits", (4.0, 4.0)))


def _threshold(given: Given) -> Pair:
    if given.has("threshold"):  # before version 2, in levels
        return within(given, "threshold", given.pair("threshold", (128.0, 128.0)), 0, 256)
    return within(given, "threshold", times(given.pair("threshold_range", (0.5, 0.5)), 255.0), 0, 256)


def _gray(given: Given) -> None:
    if given.word("method", "weighted_average") != "weighted_average":
        given.note("gray is the luma here")
    given.quiet("num_output_channels")


def _by(given: Given) -> str | None:
    opencv = given.word("mode", "cv") == "cv"
    given.note(
        "levels are those of PIL, theirs of OpenCV" if opencv else "levels are those of PIL, theirs up to two away"
    )
    given.quiet("mask", "mask_params")
    return None if given.flag("by_channels", True) else "luma"


def _cutoff(given: Given) -> float:
    if given.word("method", "cdf") == "cdf":
        given.note("the ends are those of PIL, theirs of a cumulative histogram")
    given.quiet("ignore")
    return given.number("cutoff", 0.0)


def _clip(given: Given) -> Pair:
    value = given.raw("clip_limit")
    pair = given.pair("clip_limit", (1.0, 4.0))
    return within(given, "clip", pair if isinstance(value, list) else (1.0, max(1.0, pair[1])), 0.1, 40)


def _tiles(given: Given) -> int:
    tiles = given.numbers("tile_grid_size") or [8]
    if len(set(tiles)) > 1:
        given.note("as many tiles across as down")
    return round(tiles[0])


def _kelvin(given: Given) -> Pair:
    low = 3000.0 if given.word("mode", "blackbody") == "blackbody" else 4000.0
    given.quiet("sampling_method")
    return within(given, "kelvin", given.pair("temperature_limit", (low, 15000.0)), 1667, 25000)


def _count(given: Given) -> tuple[int, int]:
    return whole(within(given, "count", given.pair("channel_drop_range", (1.0, 1.0)), 0, 2))


def _level(given: Given) -> int:
    color = given.color("fill", "fill_value")
    if isinstance(color, list):
        given.note("one level, where theirs has one a channel")
        return color[0]
    return color


COLORS: dict[str, Row] = {
    "RandomBrightnessContrast": row(
        "brightness_contrast",
        brightness=lambda given: given.span("contrast_limit", _USUAL),
        offset=_offset("brightness_limit"),
        quiet="ensure_safe_range",
    ),
    "RandomBrightness": row("brightness_contrast", offset=_offset("limit")),
    "RandomContrast": row("brightness_contrast", brightness=lambda given: given.span("limit", _USUAL)),
    "ColorJitter": row(
        "color_jitter",
        f"one fixed order, theirs is drawn; {_YIQ}",
        brightness=_change("brightness"),
        contrast=_change("contrast"),
        saturation=_change("saturation"),
        hue=lambda given: within(given, "hue", given.span("hue", (-0.5, 0.5)), -0.5, 0.5),
    ),
    "HueSaturationValue": row(
        "hsv",
        f"factors, where theirs adds; {_YIQ}",
        hue=_share("hue_shift_limit", (-20.0, 20.0), 180.0),
        saturation=_share("sat_shift_limit", (-30.0, 30.0), 128.0),
        value=_share("val_shift_limit", (-20.0, 20.0), 128.0),
    ),
    "RandomGamma": row(
        "gamma",
        amount=lambda given: within(given, "amount", times(given.pair("gamma_limit", (80.0, 120.0)), 0.01), 0.05, 20),
    ),
    "RGBShift": row(
        "rgb_shift",
        red=_levels("r_shift_limit"),
        green=_levels("g_shift_limit"),
        blue=_levels("b_shift_limit"),
        quiet="approximation noise_params noise_type spatial_mode",
    ),
    **dict.fromkeys(
        ("ChannelShuffle", "ChannelSwap"), row("channel_shuffle", "theirs leaves the order in one of six cases")
    ),
    "ChannelDropout": row("channel_dropout", count=_count, fill=_level),
    "InvertImg": row("invert"),
    "ToGray": row("to_gray", x=_gray),
    "ToSepia": row("sepia", amount=lambda given: 1),
    "Posterize": row("posterize", bits=_bits),
    "Solarize": row("solarize", threshold=_threshold),
    "Equalize": row("equalize", by=_by),
    "AutoContrast": row("autocontrast", cutoff=_cutoff),
    "CLAHE": row("clahe", "on luma, theirs on the L of Lab", clip=_clip, tiles=_tiles),
    "PlanckianJitter": row("color_temperature", "another table of black bodies", kelvin=_kelvin),
    "PhotoMetricDistort": row(
        "photometric_distort",
        _YIQ,
        brightness=_change("brightness_range"),
        contrast=_change("contrast_range"),
        saturation=_change("saturation_range"),
        hue=lambda given: within(given, "hue", given.span("hue_range", (-0.05, 0.05)), -0.5, 0.5),
        quiet="distort_p",
    ),
    "RandomToneCurve": row(
        "tone_curve",
        "bends evenly, theirs by a normal distribution",
        strength=lambda given: min(1 / 3, 1.7 * given.number("scale", 0.1)),
        quiet="per_channel",
    ),
}
