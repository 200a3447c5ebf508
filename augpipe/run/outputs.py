"""Which samples a source picture gives, by which plan each is made, and with which labels: the purpose of a run.

A picture that cannot be read counts as many samples as its task has copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from augpipe.core.annotations import Category, Frame
from augpipe.core.canvas import follow
from augpipe.core.errors import Reject, fault
from augpipe.core.plan import Plan
from augpipe.labels.transform import apply
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.planner import draw
from augpipe.run.config import RunOptions
from augpipe.windows.samples import PlannedSample, PlannedSamples, Rules, samples_of
from augpipe.windows.spec import ObjectWindows, WindowSpec


class Outputs(Protocol):
    """The samples of a source. It is sent to workers, and depends on its arguments alone."""

    @property
    def are_even(self) -> bool:
        """Whether every picture gives as many samples as its task has copies."""
        ...

    @property
    def are_classes(self) -> bool:
        """Whether every sample has one tag, the class of the object of its number."""
        ...

    def samples(self, frame: Frame, copies: tuple[int, ...]) -> PlannedSamples:
        """The samples of a picture; of the number −1 it is the picture as it is.

        Args:
            frame: key, upright size and labels of the picture.
            copies: of its task.

        Raises:
            Reject: they cannot be told; the picture is lost for all copies of its task.
        """
        ...


@dataclass(frozen=True)
class Augmented:
    """Every copy of every picture by a recipe."""

    recipe: Recipe
    seed: int
    rules: Rules
    are_even: bool = True
    are_classes: bool = False

    def samples(self, frame: Frame, copies: tuple[int, ...]) -> PlannedSamples:
        return PlannedSamples(tuple(self._sample(frame, number) for number in copies))

    def plan(self, frame: Frame, number: int) -> Plan:
        """The plan of a copy. Raises ``Reject`` if it cannot be drawn."""
        return draw(self.recipe, frame, self.seed, number)

    def _sample(self, frame: Frame, number: int) -> PlannedSample:
        try:
            plan = self.plan(frame, number)
            canvas = follow(plan.steps, frame.size_wh)
            labels = apply(frame.annotations, canvas, self.rules.labels, self.rules.categories, self.rules.void)
        except Reject as reject:
            return PlannedSample(number, Plan(self.seed), reject)
        except Exception as error:  # one copy must not end a run
            return PlannedSample(number, Plan(self.seed), fault("plan", error))
        return PlannedSample(number, plan, labels)


@dataclass(frozen=True)
class Windowed:
    """The windows of every picture."""

    spec: WindowSpec
    seed: int
    rules: Rules
    are_even: bool = False

    @property
    def are_classes(self) -> bool:
        return isinstance(self.spec, ObjectWindows)

    def samples(self, frame: Frame, copies: tuple[int, ...]) -> PlannedSamples:
        return samples_of(self.spec, frame, self.seed, self.rules)


def outputs_of(recipe: Recipe, options: RunOptions, categories: Iterable[Category]) -> Outputs:
    """What a run makes of each picture."""
    rules = Rules(recipe.rules, {c.id: c for c in categories}, options.source.void)
    if options.window is not None:
        return Windowed(options.window, options.seed, rules)
    return Augmented(recipe, options.seed, rules)
