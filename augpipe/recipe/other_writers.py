"""Who wrote a file: Albumentations (``A.save``, ``A.to_dict``) and Ultralytics (args.yaml) are known by their keys."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Writer: TypeAlias = Literal["Albumentations", "Ultralytics"]

CLASS = "__class_fullname__"
"""The key under which Albumentations writes the class of a transform."""

_ARGUMENTS = frozenset(
    [
        "hsv_h",
        "hsv_s",
        "hsv_v",
        "degrees",
        "translate",
        "scale",
        "shear",
        "perspective",
        "flipud",
        "fliplr",
        "mosaic",
        "mixup",
        "copy_paste",
        "erasing",
        "imgsz",
        "close_mosaic",
        "epochs",
    ]
)
_ENOUGH = 4
"""Arguments of Ultralytics, from which on a file is taken for its own."""


def writer_of(value: Any) -> Writer | None:
    """Who wrote a document with this value; ``None`` where it is nobody's that is known."""
    if not isinstance(value, dict) or "steps" in value:
        return None
    inside = value.get("transform")
    if CLASS in value or (isinstance(inside, dict) and CLASS in inside):
        return "Albumentations"
    return "Ultralytics" if len(_ARGUMENTS & value.keys()) >= _ENOUGH else None
