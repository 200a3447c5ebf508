"""A recipe on one picture in memory: what ``augment`` makes of it, without files.

A pipeline has no state: what a call gives depends on its arguments alone. So it can be shared by threads, and copied or
pickled into the workers of a data loader, whichever way these start.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.core.annotations import Annotations, Category, Frame, Header, class_names
from augpipe.core.canvas import fault_of, follow
from augpipe.core.errors import RecipeError, UsageError, one_line
from augpipe.core.paths import StrPath
from augpipe.core.plan import Pixels, Plan, from_json
from augpipe.interactive.arrays import BOX_FORMS, BoxForm, bgr_of, refused, rgb_of
from augpipe.interactive.labels import GivenBack, GivenLabels, LabelForm
from augpipe.labels.normalize import aligned
from augpipe.labels.transform import SEMANTIC_VOID
from augpipe.labels.transform import apply as move_labels
from augpipe.pixels.cpu import apply as move_pixels
from augpipe.recipe import yaml_reader
from augpipe.recipe.compatibility import check, kinds_of
from augpipe.recipe.importing.files import imported
from augpipe.recipe.importing.report import Imported
from augpipe.recipe.load import checked_recipe, load
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.operation.label_effects import LABEL_KINDS
from augpipe.recipe.planner import draw
from augpipe.recipe.yaml_reader import Document

_COPIES = 2**53


@dataclass(frozen=True, eq=False, kw_only=True)
class PipelineResult(GivenBack):
    """One sample. Rows of boxes, labels, masks, polygons and keypoints belong together; ``None`` where none came.

    Attributes:
        image: as it came: (H, W, 3) RGB, (H, W) or (H, W, 1) gray, uint8.
        boxes: (N, 4), in the form of the pipeline.
        labels: as they came, names or numbers.
        masks: (N, H, W), of the type of those that came.
        polygons: for each object a list of rings (n, 2); none of an object that they do not show.
        keypoints: (N, K, 3), x, y, v as in COCO; those out of sight have v = 0 and lie at (0, 0).
        semantic: (H, W); new ground is 255.
        index: (N,) the row of each object among those that came.
        visible: (N,) how much of each object is in sight, 0 to 1.
        dropped: the objects that are not here, with the reason.
        plan: every decision, for :meth:`Pipeline.replay`.
        key: of the call.
        copy: of the call, or the number that was drawn for it.
    """

    image: Pixels
    plan: Plan
    key: str
    copy: int


@dataclass(frozen=True)
class _Classes:
    """The classes of a pipeline as a dataset without pictures, for checking a recipe."""

    categories: tuple[Category, ...]
    has_places: bool = True
    may_lack_keypoint_names: bool = False

    def labels(self, most: int | None = None) -> Iterator[tuple[str, Annotations]]:
        return iter(())


class Pipeline:
    """A recipe, ready for pictures in memory.

    Args:
        recipe: the name of a shipped one, a YAML file, YAML text of several lines, a dict of what such a file holds, or
            one that is loaded.
        classes: names; ``labels`` of calls are these, or numbers from 0 into them.
        boxes: how ``boxes`` are written: ``xyxy`` or ``xywh`` in pixels, ``cxcywh``, or ``yolo``, which is that in
            shares of the sides.
        keypoints: names; left and right ones change places in a mirror image.
        seed: of the random numbers.
        overrides: such as ``steps.affine.rotate=[-5, 5]``.
        ops: Python files with operations of one's own that the recipe names.

    Attributes:
        recipe: the checked recipe.
        remarks: what to know of it and the classes, or of what it was imported from.

    Raises:
        UsageError: the recipe or another argument makes no sense.

    >>> import augpipe, numpy as np
    >>> t = augpipe.Pipeline("detection", classes=["cat", "dog"])
    >>> image = np.zeros((480, 640, 3), np.uint8)
    >>> out = t(image, boxes=[[10, 20, 200, 220]], labels=["dog"], key="a.jpg", copy=0)
    >>> out.image.shape, out.boxes.shape, out.labels
    ((480, 640, 3), (1, 4), ['dog'])
    >>> again = t.replay(out.plan, image, boxes=[[10, 20, 200, 220]], labels=[1])
    >>> bool((again.boxes == out.boxes).all()), again.labels
    (True, [1])
    """

    def __init__(
        self,
        recipe: Recipe | StrPath | Mapping[str, Any],
        *,
        classes: Sequence[str] | None = None,
        boxes: BoxForm = "xyxy",
        keypoints: Sequence[str] = (),
        seed: int = 0,
        overrides: Sequence[str] = (),
        ops: Sequence[StrPath] = (),
    ) -> None:
        if boxes not in BOX_FORMS:
            raise UsageError(f"boxes: expected {', '.join(BOX_FORMS)}, got {one_line(repr(boxes), 80)}")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise refused("seed", "a whole number", seed)
        self.recipe = _recipe(recipe, overrides, ops)
        self.remarks: tuple[str, ...] = ()
        self._seed = seed
        names = None if classes is None else _names("classes", classes)
        form = LabelForm(boxes, names, _names("keypoints", keypoints))
        if names is not None:
            found = check(self.recipe, _Classes(form.categories(names)))
            found.require()
            form = LabelForm(boxes, names, form.keypoints, {c.id: c for c in found.categories})
            self.remarks = found.remarks
        self._form = form
        leaves = [*self.recipe.possible()]
        self._cannot = {kind: leaf.path for leaf in leaves for kind in leaf.operation.label_effects.cannot()}

    @classmethod
    def from_albumentations(
        cls, pipeline: StrPath | Mapping[str, Any], *, strict: bool = True, **options: Any
    ) -> Pipeline:
        """A pipeline of what ``A.save`` or ``A.to_dict`` of Albumentations gave, or of Ultralytics' args.yaml.

        Args:
            pipeline: the file, or the dict.
            strict: refuse one of which something cannot be done here; else ``remarks`` say what is left out.
            options: of :class:`Pipeline`.

        Raises:
            UsageError: it is none, or with ``strict`` something of it is missing.
        """
        if isinstance(pipeline, Mapping):
            document = _document("the dict", pipeline)
        else:
            document = yaml_reader.read_file(Path(pipeline))
        found = imported(document)
        missing = [line for line in found.lines if line.status == "missing"]
        if not found.text or (strict and missing):
            raise RecipeError(f"{one_line(found.file, 4096)}: {_missing(found)}")
        made = cls(found.text, **options)
        made.remarks = (*(line.remark() for line in found.lines if line.status != "exact"), *made.remarks)
        return made

    def __call__(  # noqa: PLR0913 - what is not given has a default
        self,
        image: Pixels,
        *,
        boxes: Any = None,
        labels: Any = None,
        masks: Any = None,
        polygons: Any = None,
        keypoints: Any = None,
        semantic: Any = None,
        key: str = "",
        copy: int | None = None,
    ) -> PipelineResult:
        """One sample of a picture and its labels.

        Args:
            image: uint8, (H, W, 3) in red, green, blue, or (H, W) or (H, W, 1) gray; it is only read.
            boxes: (N, 4) numbers in the form of the pipeline.
            labels: (N,) names, or numbers from 0 on.
            masks: (N, H, W) bool or uint8.
            polygons: for each object a ring (n, 2), or a list of rings.
            keypoints: (N, K, 3) x, y, v as in COCO, or (N, K, 2) x, y.
            semantic: (H, W) of uint8 or uint16.
            key: of the picture in the seeded random numbers, as in a run its path below the dataset.
            copy: the number of the copy. With it the same call gives the same sample, that of ``augment`` with the same
                recipe, seed and key; a training loop may give the epoch. Without it every call gives another sample.

        Raises:
            UsageError: an argument is not as expected.
            Reject: the recipe cannot be done to this picture.
        """
        number = secrets.randbelow(_COPIES) if copy is None else copy
        _require_name(key, number)
        given = GivenLabels(boxes, labels, masks, polygons, keypoints, semantic)
        return self._made(image, given, None, key, number)

    def replay(
        self,
        plan: Plan | Mapping[str, Any],
        image: Pixels,
        *,
        boxes: Any = None,
        labels: Any = None,
        masks: Any = None,
        polygons: Any = None,
        keypoints: Any = None,
        semantic: Any = None,
    ) -> PipelineResult:
        """A sample by a plan: the ``plan`` of a result, or that of a record as JSON; the rest as for a call.

        Raises:
            UsageError: an argument is not as expected, or the plan cannot be followed.
        """
        if not isinstance(plan, Plan):
            if not isinstance(plan, Mapping):
                raise refused("plan", "the plan of a result, or the one of a record as a dict", plan)
            try:
                plan = from_json(dict(plan))
            except (TypeError, ValueError) as error:
                raise UsageError(f"plan: {one_line(error, 300)}") from error
        return self._made(image, GivenLabels(boxes, labels, masks, polygons, keypoints, semantic), plan, "", 0)

    def _made(self, image: Any, given: GivenLabels, plan: Plan | None, key: str, copy: int) -> PipelineResult:
        picture = bgr_of(image)
        size_wh = (picture.shape[1], picture.shape[0])
        read = self._form.read(given, size_wh)
        annotations = aligned(read.annotations, Header("array", size_wh))
        if self._cannot:
            self._require_carried(annotations)
        if plan is None:
            frame = Frame(key, size_wh, annotations, class_names(read.categories.values()))
            plan = draw(self.recipe, frame, self._seed, copy)
        elif (fault := fault_of(_steps(plan), size_wh)) is not None:
            raise UsageError(f"plan: cannot be followed for a picture of {size_wh[0]}×{size_wh[1]}: {fault}")
        canvas = follow(plan.steps, size_wh)
        moved = move_labels(annotations, canvas, self.recipe.rules, read.categories, SEMANTIC_VOID)
        pixels = rgb_of(move_pixels(picture, plan.steps), image.ndim, picture)
        back = self._form.back(given, read, moved)
        return PipelineResult(**vars(back), image=pixels, plan=plan, key=key, copy=copy)

    def _require_carried(self, annotations: Annotations) -> None:
        for kind in kinds_of(annotations) & self._cannot.keys():
            raise RecipeError(f"{self._cannot[kind]} cannot carry {LABEL_KINDS[kind]}; leave the step out")

    def __repr__(self) -> str:
        classes = "" if self._form.classes is None else f", {len(self._form.classes)} classes"
        return f"Pipeline({self.recipe.name!r}{classes}, boxes={self._form.boxes!r}, seed={self._seed})"


def _recipe(recipe: Recipe | StrPath | Mapping[str, Any], overrides: Sequence[str], ops: Sequence[StrPath]) -> Recipe:
    if isinstance(recipe, Recipe):
        if overrides or ops:
            raise UsageError("overrides, ops: the recipe is loaded already; give them to load_recipe")
        return recipe
    if isinstance(recipe, Mapping):
        return checked_recipe(_document("the recipe", recipe), "recipe", overrides, ops)
    if isinstance(recipe, str) and "\n" in recipe:
        return checked_recipe(yaml_reader.read("the recipe", recipe), "recipe", overrides, ops)
    if not isinstance(recipe, str | os.PathLike):
        raise refused("recipe", "the name of a recipe, a file, YAML text or a dict", recipe)
    return load(recipe, overrides, ops)


def _document(name: str, value: Mapping[str, Any]) -> Document:
    """A dict as a document, whose mistakes have no line."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecipeError(f"{name}: expected what JSON can hold: {one_line(error, 200)}") from error
    return Document(name, text, json.loads(text))


def _names(name: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(one, str) for one in given):
        raise refused(name, "a list of names", given)
    if len(set(given)) != len(given):
        raise UsageError(f"{name}: expected each name once, got {one_line(', '.join(given), 120)}")
    return tuple(given)


def _require_name(key: Any, copy: Any) -> None:
    if isinstance(copy, bool) or not isinstance(copy, int) or copy < 0:
        raise refused("copy", "a whole number from 0 on", copy)
    if not isinstance(key, str):
        raise refused("key", "a text", key)


def _steps(plan: Plan) -> tuple[Any, ...]:
    try:
        return plan.steps_alone()
    except ValueError as error:
        raise UsageError(f"plan: {error}") from error


def _missing(found: Imported) -> str:
    lines = [line.remark() for line in found.lines if line.status == "missing"]
    what = "nothing of it can be written as a recipe" if not found.text else f"{len(lines)} of it cannot be done here"
    first = f", such as {one_line(lines[0], 200)}" if lines else ""
    return f"{what}{first}{'; strict=False leaves that out' if found.text else ''}"
