"""All transforms that are known: what they are here, whose business they are, or why there is nothing like them."""

from __future__ import annotations

from augpipe.recipe.importing.blurs import BLURS
from augpipe.recipe.importing.colors import COLORS
from augpipe.recipe.importing.frames import FRAMES
from augpipe.recipe.importing.moves import MOVES
from augpipe.recipe.importing.painting import PAINTING
from augpipe.recipe.importing.rows import Row

ROWS: dict[str, Row] = {**MOVES, **FRAMES, **COLORS, **BLURS, **PAINTING}

TRAINER = frozenset(["Normalize", "ToTensor", "ToTensorV2", "ToFloat", "FromFloat", "ToRGB"])

SEVERAL = frozenset(
    [
        "MixUp",
        "CutMix",
        "Mosaic",
        "CopyAndPaste",
        "OverlayElements",
        "MixUpV2",
        "HistogramMatching",
        "FDA",
        "PixelDistributionAdaptation",
        "TemplateTransform",
    ]
)
"""Transforms that need a second picture."""

NOTHING = frozenset(("NoOp", "Noop"))

FOR_TRAINER = "left out: shards hold 8-bit pictures; normalise when training"
NO_PARTNER = "left out: it needs another picture"
NO_OPERATION = "left out: no operation like it"
NO_CODE = "left out: code of one's own is not read"


def reason(name: str) -> str:
    """Why a transform without a row is left out."""
    if name in SEVERAL:
        return NO_PARTNER
    return NO_CODE if name == "Lambda" else NO_OPERATION
