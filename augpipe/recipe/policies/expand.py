"""Policies as a recipe writes them, and the groups of plain steps that they are turned into when it is compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from augpipe.recipe.groups import NodeOptions
from augpipe.recipe.operation.params import whole
from augpipe.recipe.policies.members import KINDS, MOVES, PLAIN, Step, detection, usual, wide
from augpipe.recipe.policies.tables import Member, sub_policies

Space = Literal["all", "no_moves", "pixels"]
_SPACE: Any = Field(
    "all", description="all operations, those that leave places alone, or of these curves and equalization alone"
)
_KINDS = {"all": KINDS, "no_moves": tuple(kind for kind in KINDS if kind not in MOVES), "pixels": PLAIN}
_NAMED = {"id", "p", "cut", "weight", "when"}


class Policy(NodeOptions):
    """Base of the policies."""

    example: ClassVar[str]

    def steps(self) -> list[dict[str, Any]]:
        """What is done one after the other, as a recipe writes it."""
        raise NotImplementedError

    def expanded(self, name: str) -> dict[str, Any]:
        """The policy as a group of that name, as a recipe writes it."""
        own = self.model_dump(mode="json", include=_NAMED & self.model_fields_set, exclude_none=True)
        return {"all_of": self.steps(), **own, "id": name}


class RandAugment(Policy):
    """n operations of 14, each of the same strength, drawn with replacement (Cubuk et al. 2020)."""

    example = "rand_augment: {n: 2, magnitude: 9}"

    n: Annotated[int, whole(1, 10)] = Field(2, description="how many operations")
    magnitude: Annotated[int, whole(0, 30)] = Field(9, description="strength, of 30")
    space: Space = _SPACE

    def steps(self) -> list[dict[str, Any]]:
        kinds = _KINDS[self.space]
        found = {kind: usual(kind, self.magnitude / 30.0) for kind in kinds}
        rows = [(kind, [(step, 1.0 / len(steps)) for step in steps]) for kind, steps in found.items()]
        identities = 0 if self.space == "pixels" else 1
        return [_choice(rows, identities, f"draw{i + 1}") for i in range(self.n)]


class TrivialAugment(Policy):
    """One operation of 14, of any strength (TrivialAugmentWide, Müller and Hutter 2021); made for classification."""

    example = "trivial_augment"

    space: Space = _SPACE

    def steps(self) -> list[dict[str, Any]]:
        rows = [(kind, wide(kind)) for kind in _KINDS[self.space]]
        return [_choice(rows, 0 if self.space == "pixels" else 1, "draw1")]


class AutoAugment(Policy):
    """One of the sub-policies that a search has found (Cubuk et al. 2019; for detection Zoph et al. 2020)."""

    example = "auto_augment: {policy: imagenet}"

    policy: Literal["imagenet", "cifar10", "svhn", "detection_v2", "detection_v3"] = Field(
        "imagenet", description="what it was searched for"
    )

    def steps(self) -> list[dict[str, Any]]:
        rows = [self._sub_policy(row) for row in sub_policies(self.policy)]
        some = [{"all_of": row, "id": f"sub{i + 1}"} for i, row in enumerate(rows) if row]
        return [{"one_of": some, "id": "draw1", **_share(len(some), len(rows))}]

    def _sub_policy(self, members: Sequence[Member]) -> list[dict[str, Any]]:
        counts: Counter[str] = Counter()
        steps: list[dict[str, Any]] = []
        for member in members:
            found = self._found(member)
            if not found or member.p == 0.0:
                continue
            counts[member.kind] += 1
            name = member.kind if counts[member.kind] == 1 else f"{member.kind}-{counts[member.kind]}"
            if len(found) == 1:
                steps.append(_with(found[0], id=name, p=member.p))
            else:
                steps.append({"one_of": _signs(member.kind, found, 1.0), "id": name, "p": member.p})
        return steps

    def _found(self, member: Member) -> list[Step]:
        if self.policy.startswith("detection"):
            return detection(member.kind, member.magnitude)
        return usual(member.kind, member.magnitude / 9.0)


POLICY_MODELS: dict[str, type[Policy]] = {
    "rand_augment": RandAugment,
    "trivial_augment": TrivialAugment,
    "auto_augment": AutoAugment,
}
"""Name → what it takes."""


def _choice(rows: Iterable[tuple[str, Sequence[tuple[Step, float]]]], identities: int, name: str) -> dict[str, Any]:
    """One of some kinds by weight, of which each has 1 with what changes nothing in it, as an identity has."""
    kinds = list(rows)
    steps, total = [], 0.0
    for kind, found in kinds:
        for i, (step, weight) in enumerate(found):
            own = kind if len(found) == 1 else f"{kind}-{i + 1}"
            steps.append(_with(step, id=own, weight=weight))
            total += weight
    return {"one_of": steps, "id": name, **_share(total, len(kinds) + identities)}


def _signs(kind: str, found: Sequence[Step], weight: float) -> list[Step]:
    return [_with(step, id=f"{kind}-{i + 1}", weight=weight) for i, step in enumerate(found)]


def _share(there: float, of: int) -> dict[str, float]:
    return {"p": round(there / of, 9)} if of - there > 1e-6 else {}


def _with(step: Step, **more: Any) -> Step:
    return {name: {**parameters, **more} for name, parameters in step.items()}
