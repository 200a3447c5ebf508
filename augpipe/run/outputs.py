"""Which samples a source picture gives, and by which plan each is made: all that a run knows of its purpose.

A picture that cannot be read counts as many samples as its task has copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from augpipe.core.annotations import Frame
from augpipe.core.plan import Plan
from augpipe.recipe.compile import Recipe
from augpipe.recipe.planner import draw


class Outputs(Protocol):
    """The samples of a source. It is sent to workers, and depends on its arguments alone."""

    def numbers(self, frame: Frame, copies: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of the samples that a picture gives; −1 is the picture as it is.

        Args:
            frame: key, upright size and labels of the picture.
            copies: of its task.

        Raises:
            Reject: they cannot be told; the picture is lost for all copies of its task.
        """
        ...

    def plan(self, frame: Frame, number: int) -> Plan:
        """The plan of one of these samples.

        Raises:
            Reject: it cannot be made.
        """
        ...


@dataclass(frozen=True)
class Augmented:
    """Every copy of every picture by a recipe."""

    recipe: Recipe
    seed: int

    def numbers(self, frame: Frame, copies: tuple[int, ...]) -> tuple[int, ...]:
        return copies

    def plan(self, frame: Frame, number: int) -> Plan:
        return draw(self.recipe, frame, self.seed, number)
