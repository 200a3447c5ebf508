"""Operations of published policies at a magnitude, as steps of a recipe.

A kind at a magnitude is some steps of which one is meant, each as likely: one a sign where the sign is drawn, none
where it changes nothing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Step: TypeAlias = dict[str, dict[str, Any]]

MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
_SIGNED = (*MOVES, "brightness", "color", "contrast", "sharpness")
KINDS = (*_SIGNED, "posterize", "solarize", "autocontrast", "equalize")
"""Of rand_augment and trivial_augment, which have the identity beside them."""
PLAIN = ("posterize", "solarize", "autocontrast", "equalize")
"""Of AugMix, without the moves."""

_GRAY = 128
_PAINTED = {"fill": _GRAY}


def usual(kind: str, share: float) -> list[Step]:
    """A kind at a share of its greatest magnitude, as AutoAugment and RandAugment have it."""
    most = {"translate_x": 150.0 / 331.0, "translate_y": 150.0 / 331.0, "rotate": 30.0, "shear_x": 0.3, "shear_y": 0.3}
    if kind in _SIGNED:
        value = round(most.get(kind, 0.9) * share, 9)
        return [_signed(kind, [v, v], "share") for v in (value, -value)] if value else []
    if kind == "posterize":
        bits = 8 - round(4.0 * share)
        return [{"posterize": {"bits": bits}}] if bits < 8 else []
    return [{"solarize": {"threshold": round(255.0 * (1.0 - share), 9)}}] if kind == "solarize" else [{kind: {}}]


def wide(kind: str) -> list[tuple[Step, float]]:
    """(step, weight) of a kind at any magnitude, as TrivialAugment draws it from 31 in its wide space.

    What is left of a weight of 1 changes nothing.
    """
    most = {"translate_x": 32.0, "translate_y": 32.0, "rotate": 135.0}
    if kind in _SIGNED:
        value = most.get(kind, 0.99)
        return [(_signed(kind, [-value, value], "pixels"), 1.0)]
    if kind == "posterize":
        bits = [8 - round(magnitude / 5.0) for magnitude in range(31)]
        return [({"posterize": {"bits": b}}, round(bits.count(b) / 31.0, 9)) for b in sorted(set(bits)) if b < 8]
    return [({"solarize": {"threshold": [0, 255]}}, 1.0)] if kind == "solarize" else [({kind: {}}, 1.0)]


def detection(kind: str, magnitude: int) -> list[Step]:
    """A kind at a magnitude of 0 to 10, as the policies for detection have it."""
    share = magnitude / 10.0
    if kind in MOVES:
        most = 30.0 if kind == "rotate" else 0.3 if kind.startswith("shear") else 250.0
        return [_signed(kind, [v, v], "pixels") for v in (most * share, -most * share)] if magnitude else []
    if kind in _SIGNED:
        change = round(1.8 * share - 0.9, 9)
        return [_signed(kind, [change, change], "share")] if change else []
    steps: dict[str, Step | None] = {
        "cutout": {"cutout": {"side": int(200.0 * share), **_PAINTED}} if magnitude else None,
        "object_cutout": {"object_cutout": {"objects": 1, "area": (0.75 * share) ** 2, "ratio": 1, **_PAINTED}},
        "solarize": {"solarize": {"threshold": int(256.0 * share)}} if magnitude < 10 else None,
        "solarize_add": {"solarize": {"threshold": 128, "add": int(110.0 * share)}},
        "posterize": {"posterize": {"bits": max(1, int(4.0 * share))}},  # of no bits at all there is black alone
    }
    step = steps.get(kind, {kind: {}})
    return [] if step is None else [step]


def _signed(kind: str, values: list[float], unit: str) -> Step:
    name, _, axis = kind.rpartition("_")
    if name == "shear":
        return {"shear": {axis: values}}
    if name == "translate":
        return {"translate": {axis: values, "unit": unit}}
    if kind == "rotate":
        return {"rotate": {"degrees": values}}
    if kind == "color":
        return {"color_jitter": {"saturation": values}}
    return {"sharpness": {"change": values}} if kind == "sharpness" else {"brightness_contrast": {kind: values}}
