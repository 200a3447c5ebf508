"""``when``: a step takes part only where the labels that can be seen on the canvas so far are as it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from augpipe.recipe.operation.params import ClassNames, MaybeCount, MaybePixels, Names
from augpipe.recipe.operation.visible import VisibleObject


class When(BaseModel):
    """What must hold for a step to take part; all of it that is given.

    Objects are those of which something can be seen on the canvas so far; crowds do not count. ``classes`` and ``size``
    say which of them count, ``objects`` how many there must be: one at least, if it is not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    classes: ClassNames = Field(None, description="objects of one of these classes")
    objects: MaybeCount = Field(None, description="how many such objects; at least one if not given")
    size: MaybePixels = Field(None, description="objects whose box on the canvas has this √area, in pixels")
    tags: Names = Field(None, description="the picture has one of these tags")
    split: Names = Field(None, description="the picture is of one of these splits")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"expected at least one of {', '.join(When.model_fields)}")
        return self

    @property
    def asks_for_objects(self) -> bool:
        """Whether it depends on what can be seen."""
        return self.classes is not None or self.objects is not None or self.size is not None

    def suits_picture(self, tags: Sequence[str], split: str) -> bool:
        """Whether tags and split of the picture are as it says."""
        fits = self.tags is None or not set(self.tags).isdisjoint(tags)
        return fits and (self.split is None or split in self.split)

    def suits_objects(self, visible: Sequence[VisibleObject]) -> bool:
        """Whether the objects that can be seen are as it says."""
        if not self.asks_for_objects:
            return True
        least, most = self.objects or (1, math.inf)
        return least <= sum(map(self._counts, visible)) <= most

    def _counts(self, one: VisibleObject) -> bool:
        x0, y0, x1, y1 = one.box_xyxy
        if one.iscrowd:
            return False
        of_class = self.classes is None or one.category in self.classes
        return of_class and (self.size is None or self.size[0] <= math.sqrt((x1 - x0) * (y1 - y0)) <= self.size[1])


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("expected what must hold, as in {classes: [person]}")
    return value


MaybeWhen: TypeAlias = Annotated[When | None, BeforeValidator(_given)]
"""None is the default alone; it cannot be written."""

WHEN: Any = Field(
    None,
    description="takes part only where the labels that can be seen so far are like this",
    examples=["{classes: [person], size: [0, 32]}"],
)
