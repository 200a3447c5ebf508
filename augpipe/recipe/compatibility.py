"""Whether a recipe suits a dataset, found before any work: refusals, remarks, and the classes with their pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from augpipe.core.annotations import Annotations, Category, Rings, Rle
from augpipe.core.errors import RecipeError, one_line
from augpipe.labels.keypoints import looks_sided
from augpipe.recipe.messages import nearest
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.operation.label_effects import LABEL_KINDS

_MOST_NAMES = 3
_A_FEW = 32


class LabelSource(Protocol):
    """What the check asks of a dataset."""

    @property
    def has_places(self) -> bool:
        """Whether its labels lie somewhere in the picture, as tags do not."""

    @property
    def may_lack_keypoint_names(self) -> bool:
        """Whether objects may have keypoints for which their class has no names."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes."""

    def labels(self, most: int | None = None) -> Iterator[tuple[str, Annotations]]:
        """(source key, labels) of the pictures whose labels can be read, or of ``most`` spread over the dataset."""


@dataclass(frozen=True)
class Compatibility:
    """How a recipe and a dataset go together.

    ``refusals`` say why the recipe cannot be run on the dataset, ``remarks`` what the user should know of a run.
    ``categories`` are the dataset's classes with the keypoint pairs that the recipe gives.
    """

    categories: tuple[Category, ...]
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def require(self) -> None:
        """Raise the first two refusals, if there are any.

        Raises:
            RecipeError: the recipe does not suit the dataset.
        """
        if self.refusals:
            raise RecipeError("\n".join(self.refusals[:2]))


def check(recipe: Recipe, dataset: LabelSource) -> Compatibility:
    """Compare what a recipe names and does with the classes and labels of a dataset.

    Labels are read only where the classes do not tell: all of them if a step cannot carry some kind of label, and a few
    if keypoints without names may be mirrored.
    """
    refusals = (*_unknown_names(recipe, dataset.categories), *_uncarried_labels(recipe, dataset))
    if refusals:
        return Compatibility(dataset.categories, refusals)
    categories = tuple(_paired(category, recipe) for category in dataset.categories)
    remarks = []
    if recipe.border != "constant" and dataset.has_places:
        remarks.append(f"border: {recipe.border} invents picture beyond the edge, whose objects have no labels")
    if any(leaf.operation.mirrors for leaf in recipe.possible()):
        remarks += _unpaired(recipe, categories)
        remarks += _nameless(dataset)
    return Compatibility(categories, remarks=tuple(remarks))


# --- classes and keypoints that the recipe names ---------------------------------------------------------------------


def _unknown_names(recipe: Recipe, categories: Sequence[Category]) -> Iterator[str]:
    names = list(dict.fromkeys(category.name for category in categories))
    for place, given in (("classes", recipe.rules.classes), ("flip_pairs", recipe.flip_pairs)):
        for name in given:
            if name not in names:
                message = f"no class '{one_line(name, 80)}' in the dataset{nearest(name, names)}"
                yield f"{recipe.name}: labels.{place}: {message}"
    for leaf in recipe.possible():
        chosen = getattr(leaf.operation, "classes", None)
        for name in chosen if isinstance(chosen, tuple) else ():
            if name not in names:
                message = f"no class '{one_line(name, 80)}' in the dataset{nearest(name, names)}"
                yield f"{recipe.name}: {leaf.path}.classes: {message}"
    yield from _unknown_in_conditions(recipe, names)
    for category in categories:
        pairs, known = recipe.flip_pairs.get(category.name), category.keypoints
        where = f"{recipe.name}: labels.flip_pairs.{one_line(category.name, 80)}"
        if pairs is not None and not known:
            yield f"{where}: the keypoints of this class have no names in the dataset"
        else:
            for keypoint in (name for pair in pairs or () for name in pair if name not in known):
                yield f"{where}: no keypoint '{one_line(keypoint, 80)}'{nearest(keypoint, known)}"


def _unknown_in_conditions(recipe: Recipe, names: Sequence[str]) -> Iterator[str]:
    """A sentence for each class that ``when`` of a step names and the dataset has not."""
    for path, when in recipe.conditions():
        for name in (*(when.classes or ()), *(when.tags or ())):
            if name not in names:
                kind = "class" if name in (when.classes or ()) else "tag"
                message = f"no {kind} '{one_line(name, 80)}' in the dataset{nearest(name, names)}"
                yield f"{recipe.name}: {path}.when: {message}"


def _paired(category: Category, recipe: Recipe) -> Category:
    """A class with the pairs of keypoints that the recipe gives instead of its own."""
    pairs = recipe.flip_pairs.get(category.name)
    if pairs is None:
        return category
    index = category.keypoints.index
    return replace(category, flip_pairs=tuple((index(a), index(b)) for a, b in pairs))


# --- keypoints that a mirror image leaves in their order -------------------------------------------------------------


def _unpaired(recipe: Recipe, categories: Iterable[Category]) -> Iterator[str]:
    """A sentence for each class whose keypoints look left or right and are in no pair."""
    for category in categories:
        paired = {i for pair in category.flip_pairs for i in pair}
        names = [name for i, name in enumerate(category.keypoints) if i not in paired and looks_sided(name)]
        if names and category.name not in recipe.flip_pairs:
            some = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
            yield (
                f"class '{category.name}': keypoints look left/right but have no pairs ({some}); "
                "a mirrored picture keeps their order. labels.flip_pairs of the recipe can pair them"
            )


def _nameless(dataset: LabelSource) -> Iterator[str]:
    """A sentence for each class whose keypoints have no names; whether it has keypoints, only its objects tell."""
    unnamed = {category.id: category.name for category in dataset.categories if not category.keypoints}
    if not unnamed or not dataset.may_lack_keypoint_names:
        return
    found = {
        int(number)
        for _, annotations in dataset.labels(_A_FEW)
        for number, points in zip(annotations.objects.category_id, annotations.objects.keypoints, strict=True)
        if points is not None
    }
    for number, name in unnamed.items():
        if number in found:
            yield (
                f"class '{name}': keypoints have no names, so none are known to be pairs; "
                "a mirrored picture keeps their order"
            )


# --- kinds of labels that a step cannot carry ------------------------------------------------------------------------


def _uncarried_labels(recipe: Recipe, dataset: LabelSource) -> Iterator[str]:
    """A sentence for each kind of label that the first such picture has and a step of the recipe cannot carry."""
    steps: dict[str, str] = {}
    for leaf in recipe.possible():
        for kind in leaf.operation.label_effects.cannot():
            steps.setdefault(kind, leaf.path)
    if not steps:
        return
    for key, labels in dataset.labels():
        found = kinds_of(labels) & steps.keys()
        for kind in sorted(found, key=[*LABEL_KINDS].index):
            what = f"{LABEL_KINDS[kind]}, which {one_line(key, 80)} has"
            yield f"{steps[kind]} cannot carry {what}; leave the step out"
        if found:
            return


def kinds_of(annotations: Annotations) -> set[str]:
    """The kinds of labels that a picture has, by the names of ``LABEL_KINDS``."""
    objects = annotations.objects
    present = {
        "box": len(objects) > 0,
        "obb": any(obb is not None for obb in objects.obb),
        "polygon": any(isinstance(s, Rings) for s in objects.segmentation),
        "mask": any(isinstance(s, Rle) for s in objects.segmentation),
        "keypoints": any(points is not None for points in objects.keypoints),
        "parts": any(objects.parts),
        "semantic": annotations.semantic is not None,
        "instance": annotations.instance is not None,
        "panoptic": annotations.panoptic is not None,
        "crowd": bool(objects.iscrowd.any()),
        "attributes": any(own.attributes for own in objects.facts),
        "tags": bool(annotations.tags),
        "captions": bool(annotations.captions),
    }
    return {kind for kind, is_present in present.items() if is_present}
