"""What files with operations of one's own are made of; see docs/own-operations.md.

An operation decides: a class derived from :class:`Operation`, whose ``draw`` returns effects. Labels, devices, replay
and verification then come by themselves. A function on pixels, under :func:`pixels`, paints what no effect can.
"""

from pydantic import Field

from augpipe.core import geometry
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import (
    ColorEffect,
    OpInput,
    OpResult,
    PadEffect,
    PixelStep,
    WarpEffect,
    values,
)
from augpipe.recipe.operation.label_effects import (
    MAP,
    NOTHING,
    PAINT,
    STRETCH,
    STRETCHED_WINDOW,
    TURN,
    WHOLE,
    WINDOW,
    LabelEffects,
)
from augpipe.recipe.operation.params import Pair, Rgb, Share, WholePair, between, number, span, whole, whole_between
from augpipe.recipe.ops import Operation
from augpipe.recipe.own.loading import load_own
from augpipe.recipe.own.pixel_function import Between, Span, Whole, pixels

__all__ = [
    "MAP",
    "NOTHING",
    "PAINT",
    "STRETCH",
    "STRETCHED_WINDOW",
    "TURN",
    "WHOLE",
    "WINDOW",
    "Between",
    "ColorEffect",
    "Contrast",
    "Curve",
    "Field",
    "LabelEffects",
    "Matrix3x4",
    "OpInput",
    "OpResult",
    "OpRng",
    "Operation",
    "PadEffect",
    "Pair",
    "PixelStep",
    "Rgb",
    "Share",
    "Span",
    "WarpEffect",
    "Whole",
    "WholePair",
    "between",
    "geometry",
    "load_own",
    "number",
    "pixels",
    "span",
    "values",
    "whole",
    "whole_between",
]
