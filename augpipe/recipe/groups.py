"""Groups of steps as a recipe writes them: their kinds, their options, and the names of the steps of a list."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from augpipe.recipe.messages import fail, shown
from augpipe.recipe.operation.condition import WHEN, MaybeWhen
from augpipe.recipe.operation.params import MaybeName, MaybeWeight, Share, WholePair, whole_between
from augpipe.recipe.yaml_reader import Document, Path_

GROUPS = ("one_of", "some_of", "all_of", "shuffled")
POLICIES = ("rand_augment", "trivial_augment", "auto_augment")
"""Names of what is turned into groups."""
CHOOSERS = ("one_of", "some_of")
"""Groups whose children take a weight, and no p."""


class NodeOptions(BaseModel):
    """What a group and a policy take."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    p: Share = Field(1.0, description="probability that the group takes part")
    id: MaybeName = Field(None, description="a name of its own for its random numbers")
    cut: bool = Field(False, description="end the run behind the group: what this canvas does not show is gone")
    weight: MaybeWeight = Field(None, description="inside one_of and some_of: its share of the choice, 1 if not given")
    when: MaybeWhen = WHEN


class GroupOptions(NodeOptions):
    """The options beside the list of a group's steps."""

    n: Any = Field(None, description="some_of only: how many steps to take")


def count_of(document: Document, kind: str, n: Any, eligible: int, where: Path_) -> WholePair:
    """How many of the steps of a group that can be chosen are taken: (least, most).

    Raises:
        RecipeError: ``n`` is missing, has no meaning, or is no such number.
    """
    if kind != "some_of":
        if n is not None:
            fail(document, (*where, "n"), f"'n' has no meaning in {kind}; it belongs to some_of")
        return (1, 1) if kind == "one_of" else (eligible, eligible)
    if n is None:
        fail(document, where, "some_of needs 'n: 2' or 'n: [1, 3]' beside it: how many steps to take")
    try:
        return TypeAdapter(Annotated[WholePair, whole_between(0, eligible)]).validate_python(n)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        fail(document, (*where, "n"), f"some_of.n: {message}, as that many can be chosen, got {shown(n)}")


class Siblings:
    """The names in one list of steps, with the document path of each."""

    def __init__(self) -> None:
        self.taken: dict[str, Path_] = {}
        self._counts: Counter[str] = Counter()

    def name(self, kind: str, own: str | None, where: Path_) -> tuple[str, Path_ | None]:
        """(the name of the next step, the path of an earlier step that has it already)."""
        name = own
        if name is None:
            self._counts[kind] += 1
            count = self._counts[kind]
            name = kind if count == 1 else f"{kind}{'-' if kind in POLICIES else '#'}{count}"
        earlier = self.taken.get(name)
        self.taken[name] = where
        return name, earlier
