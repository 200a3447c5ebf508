"""The options under ``labels`` of a recipe: which objects stay, how plain boxes turn, which keypoints are pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from augpipe.labels.rules import BelowRule, ErasedRule, LabelRules, TruncatedRule
from augpipe.labels.shapes import BoxRule, ObbRule
from augpipe.recipe.operation.params import NamePairs, Share, choice, number

FlipPairs: TypeAlias = Mapping[str, tuple[tuple[str, str], ...]]
"""Class name → pairs of keypoint names that a mirror image swaps."""

_LATER = frozenset({"obb", "below"})
_AREA, _SIDE = number(0, 1e9), number(0, 1e5)


class ClassOptions(BaseModel):
    """What one class has of its own; what is not given is as for all classes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    min_visibility: Annotated[float | None, number(0, 1)] = Field(None, description="as above, for this class")
    min_area: Annotated[float | None, _AREA] = Field(None, description="as above, for this class")
    min_side: Annotated[float | None, _SIDE] = Field(None, description="as above, for this class")
    box: Annotated[BoxRule | None, choice(get_args(BoxRule))] = Field(None, description="as above, for this class")
    truncated: Annotated[TruncatedRule | None, choice(get_args(TruncatedRule))] = Field(
        None, description="as above, for this class"
    )


class LabelOptions(BaseModel):
    """What to keep of labels, and how a plain box is turned."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    min_visibility: Share = Field(0.0, description="least share of an object that can be seen")
    min_area: Annotated[float, _AREA] = Field(4.0, description="least area in pixels")
    min_side: Annotated[float, _SIDE] = Field(2.0, description="least side of the box in pixels")
    box: BoxRule = Field("corners", description="a box without other geometry is turned by its corners or its ellipse")
    truncated: TruncatedRule = Field(
        "clip", description="an object that the frame cuts keeps what is left of it, or is dropped"
    )
    erased: ErasedRule = Field(
        "lower", description="painting over lowers visibility only, or also cuts masks, polygons and rasters"
    )
    obb: ObbRule = Field(
        "clip",
        description="an oriented box that crosses the frame becomes the smallest one around what is left, stays whole, "
        "or stays whole and is dropped where its centre is outside",
    )
    below: BelowRule = Field(
        "drop", description="what falls below a limit is dropped, or stays as a region to ignore (`iscrowd: 1`)"
    )
    classes: dict[str, ClassOptions] = Field(
        default_factory=dict,
        description="classes with a min_visibility, min_area, min_side, box or truncated of their own",
        examples=["{person: {min_area: 64}}"],
    )
    flip_pairs: dict[str, NamePairs] = Field(
        default_factory=dict,
        description="keypoints that a mirror image swaps, instead of those that their names tell",
        examples=["{person: [[left_eye, right_eye]]}"],
    )

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Options that came later are left out at their defaults, so that recipes without them keep their digest."""
        dumped: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {k: v for k, v in dumped.items() if k not in _LATER or v != fields[k].default}

    def rules(self) -> LabelRules:
        """The same for the part that moves labels; each class in ``classes`` with every value written out."""
        top = LabelRules(
            self.min_visibility,
            self.min_area,
            self.min_side,
            self.box,
            self.truncated,
            self.erased,
            self.obb,
            self.below,
        )
        own = {name: replace(top, **given.model_dump(exclude_none=True)) for name, given in self.classes.items()}
        return replace(top, classes=own)
