"""A recipe meets a dataset: what it says of classes must be known there, and what it does must suit the labels.

Everything here is asked before any work, from the dataset's classes and, where that cannot do, from labels that are
read for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from augpipe.core.annotations import Annotations, Category, Rings, Rle
from augpipe.core.errors import RecipeError, one_line
from augpipe.recipe.compile import Recipe
from augpipe.recipe.messages import nearest
from augpipe.recipe.ops.label_effects import LABEL_KINDS

_SIDED = re.compile(r"left|right|(^|[^a-z])[lr]([^a-z]|$)", re.IGNORECASE)
_SIDED_HUMP = re.compile(r"^[lrLR][A-Z]|[^\W\d_A-Z][LR](?![^\W\d_A-Z])")  # lEye, REye, eyeL, eyeLInner
_MOST_NAMES = 3


def classes_for(recipe: Recipe, categories: Iterable[Category]) -> tuple[Category, ...]:
    """The classes of a dataset with the pairs of keypoints that the recipe gives.

    Raises:
        RecipeError: it names a class or a keypoint that is not there.
    """
    found = tuple(categories)
    names = list(dict.fromkeys(category.name for category in found))
    for place, given in (("classes", recipe.rules.classes), ("flip_pairs", recipe.flip_pairs)):
        for name in given:
            if name not in names:
                message = f"no class '{one_line(name, 80)}' in the dataset{nearest(name, names)}"
                raise RecipeError(f"{recipe.name}: labels.{place}: {message}")
    return tuple(_paired(category, recipe) if category.name in recipe.flip_pairs else category for category in found)


def _paired(category: Category, recipe: Recipe) -> Category:
    where = f"{recipe.name}: labels.flip_pairs.{one_line(category.name, 80)}"
    if not category.keypoints:
        raise RecipeError(f"{where}: the keypoints of this class have no names in the dataset")
    places = {name: i for i, name in enumerate(category.keypoints)}
    for name in (name for pair in recipe.flip_pairs[category.name] for name in pair):
        if name not in places:
            raise RecipeError(f"{where}: no keypoint '{one_line(name, 80)}'{nearest(name, places)}")
    return replace(category, flip_pairs=tuple((places[a], places[b]) for a, b in recipe.flip_pairs[category.name]))


# --- keypoints that a mirror image would leave in their order --------------------------------------------------------


def mirrors(recipe: Recipe) -> bool:
    """Whether it can turn left into right."""
    return any(leaf.operation.mirrors for leaf in recipe.possible())


def unpaired(categories: Iterable[Category], recipe: Recipe) -> list[str]:
    """A sentence for each class of which keypoints look left or right and are in no pair."""
    out = []
    for category in categories:
        paired = {i for pair in category.flip_pairs for i in pair}
        names = [name for i, name in enumerate(category.keypoints) if i not in paired and looks_sided(name)]
        if names and category.name not in recipe.flip_pairs:
            some = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
            said = f"class '{category.name}': keypoints look left/right but have no pairs ({some})"
            out.append(f"{said}; a mirrored picture keeps their order. labels.flip_pairs of the recipe can pair them")
    return out


def looks_sided(name: str) -> bool:
    """Whether the name of a keypoint says left or right."""
    return bool(_SIDED.search(name) or _SIDED_HUMP.search(name))


def nameless(categories: Iterable[Category], some: Iterable[Annotations]) -> list[str]:
    """A sentence for each class whose keypoints have no names, as ``some`` pictures show."""
    unnamed = {category.id: category.name for category in categories if not category.keypoints}
    met = {
        int(number)
        for annotations in some
        for number, points in zip(annotations.objects.category_id, annotations.objects.keypoints, strict=True)
        if points is not None
    }
    return [
        f"class '{name}': keypoints have no names, so none are known to be pairs; a mirrored picture keeps their order"
        for number, name in unnamed.items()
        if number in met
    ]


# --- kinds of labels -------------------------------------------------------------------------------------------------


def kinds_of(annotations: Annotations) -> set[str]:
    """The kinds of labels that a picture has, as :data:`augpipe.recipe.ops.label_effects.LABEL_KINDS` calls them."""
    objects = annotations.objects
    there = {
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
        "attributes": any(fact.attributes for fact in objects.facts),
        "tags": bool(annotations.tags),
        "captions": bool(annotations.captions),
    }
    return {kind for kind, is_there in there.items() if is_there}


def not_carried(recipe: Recipe) -> dict[str, str]:
    """Kind of label → the first step that cannot carry it; empty for most recipes."""
    out: dict[str, str] = {}
    for leaf in recipe.possible():
        for kind in leaf.operation.label_effects.cannot():
            out.setdefault(kind, leaf.path)
    return out


def require_carried(refusals: dict[str, str], key: str, kinds: Iterable[str]) -> None:
    """Refuse a recipe whose step cannot carry a kind that a picture has.

    Raises:
        RecipeError: naming the step, the kind and the picture.
    """
    met: Sequence[str] = [kind for kind in LABEL_KINDS if kind in refusals and kind in kinds]
    if met:
        step, what = refusals[met[0]], LABEL_KINDS[met[0]]
        raise RecipeError(f"{step} cannot carry {what}, which {one_line(key, 80)} has; leave the step out")
