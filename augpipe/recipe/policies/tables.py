"""The sub-policies of published policies, as facts: operation, probability, magnitude.

Sources: Cubuk et al., *AutoAugment*, 2019 (imagenet, cifar10, svhn; magnitudes 0 to 9), whose numbers torchvision has
too; Zoph et al., *Learning Data Augmentation Strategies for Object Detection*, 2020, and its code (detection_v2 and v3;
magnitudes 0 to 10). Moves there are those of picture and boxes together.
"""

from __future__ import annotations

from typing import NamedTuple

_TABLES = {
    "imagenet": """
        posterize 0.4 8, rotate 0.6 9
        solarize 0.6 5, autocontrast 0.6
        equalize 0.8, equalize 0.6
        posterize 0.6 7, posterize 0.6 6
        equalize 0.4, solarize 0.2 4
        equalize 0.4, rotate 0.8 8
        solarize 0.6 3, equalize 0.6
        posterize 0.8 5, equalize 1
        rotate 0.2 3, solarize 0.6 8
        equalize 0.6, posterize 0.4 6
        rotate 0.8 8, color 0.4 0
        rotate 0.4 9, equalize 0.6
        equalize 0, equalize 0.8
        invert 0.6, equalize 1
        color 0.6 4, contrast 1 8
        rotate 0.8 8, color 1 2
        color 0.8 8, solarize 0.8 7
        sharpness 0.4 7, invert 0.6
        shear_x 0.6 5, equalize 1
        color 0.4 0, equalize 0.6
        equalize 0.4, solarize 0.2 4
        solarize 0.6 5, autocontrast 0.6
        invert 0.6, equalize 1
        color 0.6 4, contrast 1 8
        equalize 0.8, equalize 0.6
    """,
    "cifar10": """
        invert 0.1, contrast 0.2 6
        rotate 0.7 2, translate_x 0.3 9
        sharpness 0.8 1, sharpness 0.9 3
        shear_y 0.5 8, translate_y 0.7 9
        autocontrast 0.5, equalize 0.9
        shear_y 0.2 7, posterize 0.3 7
        color 0.4 3, brightness 0.6 7
        sharpness 0.3 9, brightness 0.7 9
        equalize 0.6, equalize 0.5
        contrast 0.6 7, sharpness 0.6 5
        color 0.7 7, translate_x 0.5 8
        equalize 0.3, autocontrast 0.4
        translate_y 0.4 3, sharpness 0.2 6
        brightness 0.9 6, color 0.2 8
        solarize 0.5 2, invert 0
        equalize 0.2, autocontrast 0.6
        equalize 0.2, equalize 0.6
        color 0.9 9, equalize 0.6
        autocontrast 0.8, solarize 0.2 8
        brightness 0.1 3, color 0.7 0
        solarize 0.4 5, autocontrast 0.9
        translate_y 0.9 9, translate_y 0.7 9
        autocontrast 0.9, solarize 0.8 3
        equalize 0.8, invert 0.1
        translate_y 0.7 9, autocontrast 0.9
    """,
    "svhn": """
        shear_x 0.9 4, invert 0.2
        shear_y 0.9 8, invert 0.7
        equalize 0.6, solarize 0.6 6
        invert 0.9, equalize 0.6
        equalize 0.6, rotate 0.9 3
        shear_x 0.9 4, autocontrast 0.8
        shear_y 0.9 8, invert 0.4
        shear_y 0.9 5, solarize 0.2 6
        invert 0.9, autocontrast 0.8
        equalize 0.6, rotate 0.9 3
        shear_x 0.9 4, solarize 0.3 3
        shear_y 0.8 8, invert 0.7
        equalize 0.9, translate_y 0.6 6
        invert 0.9, equalize 0.6
        contrast 0.3 3, rotate 0.8 4
        invert 0.8, translate_y 0 2
        shear_y 0.7 6, solarize 0.4 8
        invert 0.6, rotate 0.8 4
        shear_y 0.3 7, translate_x 0.9 3
        shear_x 0.1 6, invert 0.6
        solarize 0.7 2, translate_y 0.6 7
        shear_y 0.8 4, invert 0.8
        shear_x 0.7 9, translate_y 0.8 3
        shear_y 0.8 5, autocontrast 0.7
        shear_x 0.7 2, invert 0.1
    """,
    "detection_v2": """
        color 0 6, cutout 0.6 8, sharpness 0.4 8
        rotate 0.4 8, sharpness 0.4 2, rotate 0.8 10
        translate_y 1 8, autocontrast 0.8 2
        autocontrast 0.4 6, shear_x 0.8 8, brightness 0 10
        solarize_add 0.2 6, contrast 0 10, autocontrast 0.6 0
        cutout 0.2 0, solarize 0.8 8, color 1 4
        translate_y 0 4, equalize 0.6 8, solarize 0 10
        translate_y 0.2 2, shear_y 0.8 8, rotate 0.8 8
        cutout 0.8 8, brightness 0.8 8, cutout 0.2 2
        color 0.8 4, translate_y 1 6, rotate 0.6 6
        rotate 0.6 10, object_cutout 1 4, cutout 0.2 8
        rotate 0 0, equalize 0.6 6, shear_y 0.6 8
        brightness 0.8 8, autocontrast 0.4 2, brightness 0.2 2
        translate_y 0.4 8, solarize 0.4 6, solarize_add 0.2 10
        contrast 1 10, solarize_add 0.2 8, equalize 0.2 4
    """,
    "detection_v3": """
        posterize 0.8 2, translate_x 1 8
        object_cutout 0.2 10, sharpness 1 8
        rotate 0.6 8, rotate 0.8 10
        equalize 0.8 10, autocontrast 0.2 10
        solarize_add 0.2 2, translate_y 0.2 8
        sharpness 0 2, color 0.4 8
        equalize 1 8, translate_y 1 8
        posterize 0.6 2, rotate 0 10
        autocontrast 0.6 0, rotate 1 6
        equalize 0 4, cutout 0.8 10
        brightness 1 2, translate_y 1 6
        contrast 0 2, shear_y 0.8 0
        autocontrast 0.8 10, contrast 0.2 10
        rotate 1 10, cutout 1 10
        solarize_add 0.8 6, equalize 0.8 8
    """,
}


class Member(NamedTuple):
    """One operation of a sub-policy: its kind, its probability, and its magnitude where it has one."""

    kind: str
    p: float
    magnitude: int


def sub_policies(policy: str) -> list[list[Member]]:
    """The sub-policies of a policy, each as likely; the operations of one are done one after the other."""
    rows = _TABLES[policy].strip().splitlines()
    return [[_member(*text.split()) for text in row.split(",")] for row in rows]


def _member(kind: str, p: str, magnitude: str = "0") -> Member:
    return Member(kind, float(p), int(magnitude))
