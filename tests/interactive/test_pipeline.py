"""A recipe on one picture in memory gives what `augment` gives; what comes in wrong is told in one line."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import re
import threading

import numpy as np
import pytest
from builders import coco, image, row, write_json
from PIL import Image
from runs import samples

import augpipe
from augpipe.core.errors import AugpipeError, RecipeError, UsageError
from augpipe.pixels.codec.image import PictureFormat
from augpipe.run.augment import Execution, RunOptions

SIZE = (60, 40)
CLASSES = ["cat", "dog"]
RECIPE = {
    "version": 1,
    "steps": [
        {"affine": {"rotate": [-20, 20], "scale": [0.7, 1.3], "translate": 0.2}},
        {"horizontal_flip": {"p": 0.5}},
        {"color_jitter": {"brightness": 0.2, "contrast": 0.3}},
        {"gaussian_noise": {"std": 5}},
    ],
}
FLIP = {"version": 1, "steps": ["horizontal_flip"]}


def photo(size_wh=SIZE, seed=0, channels=3):
    shape = (size_wh[1], size_wh[0], channels) if channels else size_wh[::-1]
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- the same as augment ---------------------------------------------------------------------------------------------


def test_it_gives_the_pixels_and_labels_of_augment(tmp_path):
    """By COCO with polygons, a crowd-free mask and keypoints, a run in PNG, and `read` for what goes in."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(photo()).save(folder / "a.png")
    points = {"keypoints": [22, 12, 2, 30, 18, 1, 0, 0, 0], "num_keypoints": 2}
    rows = [
        {**row(1, 1, bbox=[20, 10, 16, 12], **points), "segmentation": [[20, 10, 36, 10, 36, 22, 20, 22]]},
        {**row(2, 1, bbox=[45, 25, 14, 14], **points), "segmentation": [[45, 25, 59, 25, 52, 39]]},
    ]
    document = coco([image(1, "a.png", SIZE)], rows)
    document["categories"] = [
        {"id": 1, "name": "cat", "keypoints": ["left_ear", "right_ear", "tail"]}, {"id": 7, "name": "dog"}
    ]  # fmt: skip
    source = write_json(folder / "x.json", document)
    (tmp_path / "r.yaml").write_text(json.dumps(RECIPE))
    options = RunOptions(copies=6, seed=3, picture=PictureFormat("png"))
    augpipe.augment(source, tmp_path / "out", tmp_path / "r.yaml", options, execution=Execution(workers=0))
    (sample,) = augpipe.read(source)
    t = augpipe.Pipeline(tmp_path / "r.yaml", classes=CLASSES, keypoints=["left_ear", "right_ear", "tail"], seed=3)
    seen = set()
    for files in samples(tmp_path / "out").values():
        record = json.loads(files["json"])
        out = t(**sample.arguments(), copy=record["copy"])
        assert np.array_equal(out.image, np.asarray(Image.open(io.BytesIO(files["png"]))))
        objects = record["objects"]
        assert out.index.tolist() == [o["index"] for o in objects]
        assert out.labels == [o["category"] for o in objects]
        assert np.round(out.boxes, 3).tolist() == [o["box_xyxy"] for o in objects]
        assert np.round(out.keypoints, 3).reshape(len(objects), -1).tolist() == [o["keypoints"] for o in objects]
        rings = [[ring.round(3).ravel().tolist() for ring in rings] for rings in out.polygons]
        assert rings == [o["segmentation"] for o in objects]
        assert [(d.index, d.label, d.reason) for d in out.dropped] == [
            (d["index"], d["category"], d["reason"]) for d in record["dropped"]
        ]
        again = t.replay(record["plan"], **{k: v for k, v in sample.arguments().items() if k != "key"})
        assert np.array_equal(again.image, out.image)
        seen.add(out.image.tobytes())
    assert len(seen) == 6


# --- forms of what goes in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "box", "flipped"), [
    ("xyxy", [10, 5, 20, 15], [40, 5, 50, 15]),
    ("xywh", [10, 5, 10, 10], [40, 5, 10, 10]),
    ("cxcywh", [15, 10, 10, 10], [45, 10, 10, 10]),
    ("yolo", [15 / 60, 10 / 40, 10 / 60, 10 / 40], [45 / 60, 10 / 40, 10 / 60, 10 / 40]),
])  # fmt: skip
def test_boxes_come_back_as_they_came(form, box, flipped):
    out = augpipe.Pipeline(FLIP, boxes=form)(photo(), boxes=[box])
    assert out.boxes[0].tolist() == pytest.approx(flipped)
    assert out.labels is None


@pytest.mark.parametrize(("labels", "expected"), [
    (["dog", "cat"], ["dog", "cat"]),
    ((1, 0), (1, 0)),
    (np.array([1, 0], np.int16), np.array([1, 0], np.int16)),
    (np.array(["dog", "cat"]), np.array(["dog", "cat"])),
])  # fmt: skip
def test_labels_come_back_as_they_came(labels, expected):
    out = augpipe.Pipeline(FLIP, classes=CLASSES)(photo(), boxes=[[1, 1, 9, 9], [20, 5, 40, 30]], labels=labels)
    assert type(out.labels) is type(expected)
    assert list(out.labels) == list(expected)
    assert getattr(out.labels, "dtype", None) == getattr(expected, "dtype", None)


def test_masks_polygons_keypoints_and_semantic_are_mirrored():
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 5:20, 3:17], masks[1, 30:40, 50:60] = True, True
    semantic = photo(channels=0) % 5
    ring = np.array([[10.0, 5.0], [30.0, 6.0], [20.0, 25.0]])
    points = np.array([[[12.0, 8.0], [25.0, 7.0]]])
    out = augpipe.Pipeline(FLIP)(photo(), masks=masks, semantic=semantic)
    assert out.masks.dtype == bool
    assert np.array_equal(out.masks, masks[:, :, ::-1])
    assert np.array_equal(out.semantic, semantic[:, ::-1])
    found = augpipe.Pipeline(FLIP, keypoints=["left_eye", "right_eye"])(photo(), polygons=[ring], keypoints=points)
    assert sorted(found.polygons[0][0].tolist()) == sorted([[60 - x, y] for x, y in ring.tolist()])
    assert found.keypoints.tolist() == [[[35.0, 7.0, 2.0], [48.0, 8.0, 2.0]]]  # left is right now
    assert out.boxes is None
    assert found.masks is None


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_a_picture_comes_back_with_its_axes_in_memory_of_its_own(channels):
    picture = photo(channels=channels)
    before = picture.copy()
    for recipe in (FLIP, {"version": 1, "steps": []}):
        out = augpipe.Pipeline(recipe)(picture)
        assert out.image.shape == picture.shape
        assert not np.shares_memory(out.image, picture)
        out.image[:] = 0
        assert np.array_equal(picture, before)


@pytest.mark.parametrize("view", [
    lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a[::2, ::3],
    np.asfortranarray, lambda a: np.broadcast_to(a[:1], a.shape),
], ids=["up", "left", "channels", "every other", "columns first", "broadcast"])  # fmt: skip
def test_any_strides_are_taken(view):
    picture = view(photo())
    out = augpipe.Pipeline(FLIP)(picture)
    assert np.array_equal(out.image, picture[:, ::-1])
    picture = np.ascontiguousarray(picture)
    picture.flags.writeable = False
    assert np.array_equal(augpipe.Pipeline(FLIP)(picture).image, out.image)


@pytest.mark.parametrize("recipe", ["detection", "version: 1\nsteps:\n  - horizontal_flip\n", FLIP])
def test_recipes_of_every_form(recipe, tmp_path):
    assert augpipe.Pipeline(recipe)(photo()).image.dtype == np.uint8
    (tmp_path / "my.yaml").write_text(json.dumps(FLIP))
    for given in (tmp_path / "my.yaml", str(tmp_path / "my.yaml"), augpipe.load_recipe(tmp_path / "my.yaml")):
        assert np.array_equal(augpipe.Pipeline(given)(photo()).image, photo()[:, ::-1])


def test_own_operations_and_overrides(tmp_path):
    from own_operations import SPECKS, write_ops

    t = augpipe.Pipeline(
        {"version": 1, "steps": ["custom.specks"]},
        ops=[write_ops(tmp_path, SPECKS)],
        overrides=["steps.custom.specks.count=3"],
    )
    out = t(np.zeros((30, 30, 3), np.uint8), key="a", copy=0)
    assert 1 <= (out.image[:, :, 0] == 255).sum() <= 3
    assert np.array_equal(
        pickle.loads(pickle.dumps(t))(np.zeros((30, 30, 3), np.uint8), key="a", copy=0).image, out.image
    )


# --- random numbers, threads, workers --------------------------------------------------------------------------------


def test_a_copy_is_the_same_again_and_without_one_every_call_is_another():
    t, picture = augpipe.Pipeline(RECIPE), photo()
    first = t(picture, key="a.jpg", copy=1)
    assert np.array_equal(t(picture, key="a.jpg", copy=1).image, first.image)
    others = [
        t(picture, key="a.jpg", copy=2),
        t(picture, key="b.jpg", copy=1),
        augpipe.Pipeline(RECIPE, seed=1)(picture, key="a.jpg", copy=1),
    ]
    assert not any(np.array_equal(other.image, first.image) for other in others)
    drawn = [t(picture) for _ in range(4)]
    assert len({out.image.tobytes() for out in drawn}) == 4
    assert all(np.array_equal(t(picture, copy=out.copy).image, out.image) for out in drawn)


def test_threads_share_one():
    t, pictures, found = augpipe.Pipeline(RECIPE), [photo(seed=i) for i in range(8)], {}
    alone = [t(picture, copy=i).image for i, picture in enumerate(pictures)]

    def work(i):
        found[i] = t(pictures[i], copy=i).image

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], alone[i]) for i in range(8))


class Drawn:
    """A map-style dataset as one writes it, without a thought of workers."""

    def __init__(self):
        self.t = augpipe.Pipeline("detection", classes=CLASSES)

    def __len__(self):
        return 8

    def __getitem__(self, i):
        out = self.t(photo(seed=i), boxes=[[5, 5, 50, 35]], labels=["dog"])
        return out.image.shape, out.copy


def _copies_of(dataset, queue):
    queue.put([dataset[i][1] for i in range(4)])


def test_in_forked_workers_no_two_draw_the_same():
    """As a data loader forks them: what would be state here would be the same in each."""
    dataset, fork = Drawn(), multiprocessing.get_context("fork")
    dataset[0]
    queue = fork.SimpleQueue()
    workers = [fork.Process(target=_copies_of, args=(dataset, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [copy for _ in workers for copy in queue.get()]
    for worker in workers:
        worker.join()
    assert len(set(found)) == 8


def test_workers_that_are_spawned_get_it_as_a_pickle():
    t, sent = Drawn().t, pickle.loads(pickle.dumps(Drawn())).t
    assert np.array_equal(sent(photo(), copy=3).image, t(photo(), copy=3).image)
    assert sent(photo()).copy != t(photo()).copy


# --- Albumentations --------------------------------------------------------------------------------------------------

THEIRS = {
    "__version__": "2.0.8",
    "transform": {
        "__class_fullname__": "Compose",
        "p": 1.0,
        "transforms": [
            {"__class_fullname__": "HorizontalFlip", "p": 1.0},
            {"__class_fullname__": "ToGray", "p": 0.0},
        ],
    },
}


def test_a_pipeline_of_albumentations(tmp_path):
    (tmp_path / "aug.json").write_text(json.dumps(THEIRS))
    for given in (THEIRS, tmp_path / "aug.json", str(tmp_path / "aug.json")):
        t = augpipe.Pipeline.from_albumentations(given, boxes="xywh")
        assert np.array_equal(t(photo(), boxes=[[1, 2, 3, 4]]).image, photo()[:, ::-1])


def test_what_albumentations_has_and_we_have_not_is_not_left_out_in_silence():
    steps = [*THEIRS["transform"]["transforms"], {"__class_fullname__": "NoSuchTransform", "p": 1.0}]
    theirs = {**THEIRS, "transform": {**THEIRS["transform"], "transforms": steps}}
    with pytest.raises(
        RecipeError, match=r"the dict: 1 of it cannot be done here, such as NoSuchTransform, .*strict=False"
    ):
        augpipe.Pipeline.from_albumentations(theirs)
    t = augpipe.Pipeline.from_albumentations(theirs, strict=False)
    assert any("NoSuchTransform" in remark for remark in t.remarks)
    with pytest.raises(RecipeError, match="expected what Albumentations"):
        augpipe.Pipeline.from_albumentations({"x": 1})


# --- what is refused -------------------------------------------------------------------------------------------------

BOX = [[1, 2, 3, 4]]


@pytest.mark.parametrize(("given", "message"), [
    ({"image": None}, "in red, green, blue, or (H, W) gray, got NoneType"),
    ({"image": photo().astype(np.float32)}, "or (H, W) gray, got float32 (40, 60, 3)"),
    ({"image": photo().transpose(2, 0, 1)}, "or (H, W) gray, got uint8 (3, 40, 60)"),
    ({"image": np.zeros((0, 5), np.uint8)}, "image: expected sides of 1 to 32766 pixels, got uint8 (0, 5)"),
    ({"image": [[1, 2], [3, 4]]}, "or (H, W) gray, got list [[1, 2], [3, 4]]"),
    ({"boxes": [1, 2, 3, 4]}, "boxes: expected (N, 4) numbers, got float64 (4,)"),
    ({"boxes": [[1, 2, 3]]}, "boxes: expected (N, 4) numbers, got float64 (1, 3)"),
    ({"boxes": [["a", 2, 3, 4]]}, "boxes: expected (N, 4) numbers, got list [['a', 2, 3, 4]]"),
    ({"boxes": [[1, 2, 3, 4], [1, 2, float("nan"), 4]]}, "boxes: expected finite numbers, got NaN or infinity in row"),
    ({"boxes": BOX, "labels": [0, 1]}, "as there are objects, got 1 boxes, 2 labels"),
    ({"boxes": BOX, "labels": ["cow"]}, "labels: no class 'cow' among classes=cat, dog"),
    ({"boxes": BOX, "labels": [2]}, "labels: expected 0 to 1 for 2 classes, got 2"),
    ({"boxes": BOX, "labels": [-1]}, "labels: expected 0 to 1 for 2 classes, got -1"),
    ({"boxes": BOX, "labels": [0.5]}, "from 0 on, a row each, got float 0.5"),
    ({"boxes": BOX, "labels": [True]}, "from 0 on, a row each, got bool True"),
    ({"boxes": BOX, "labels": "cat"}, "labels: expected names, or whole numbers from 0 on"),
    ({"labels": [0]}, "labels: expected boxes, masks, polygons or keypoints beside them, which say where they are"),
    ({"masks": np.zeros((1, 60, 40), bool)}, "masks: expected (N, 40, 60) bool or uint8, as the picture is 60×40"),
    ({"masks": np.zeros((40, 60), bool)}, "got bool (40, 60)"),
    ({"masks": np.zeros((1, 40, 60))}, "got float64 (1, 40, 60)"),
    ({"polygons": [[[1, 2], [3, 4]]]}, "polygons[0]: expected three points or more in a ring, got 2"),
    ({"polygons": [7]}, "polygons[0]: expected for each object a ring (n, 2), or a list of rings, got int 7"),
    ({"polygons": [[]]}, "polygons[0]: expected for each object a ring (n, 2), or a list of rings, got list []"),
    ({"masks": np.zeros((1, 40, 60), bool), "polygons": [[[0, 0], [9, 0], [9, 9]]]}, "masks, polygons: expected one"),
    ({"keypoints": [[1, 2]]}, "keypoints: expected (N, K, 3) numbers x, y, v, or"),
    ({"keypoints": [[[1, 2, 3, 4]]]}, "or (N, K, 2) numbers x, y, got float64 (1, 1, 4)"),
    ({"semantic": np.zeros((40, 60))}, "semantic: expected (40, 60) of uint8 or uint16"),
    ({"copy": -1}, "copy: expected a whole number from 0 on, got int -1"),
    ({"copy": 1.5}, "copy: expected a whole number from 0 on, got float 1.5"),
    ({"key": 7}, "key: expected a text, got int 7"),
])  # fmt: skip
def test_arrays_that_do_not_fit_are_told_in_one_line(given, message):
    t = augpipe.Pipeline(RECIPE, classes=CLASSES)
    with pytest.raises(AugpipeError, match=re.escape(message)) as caught:
        t(**{"image": photo(), **given})
    assert isinstance(caught.value, UsageError)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("given", "message"), [
    ({"recipe": "detektion"}, "unknown recipe 'detektion'; did you mean 'detection'"),
    ({"recipe": 7}, "recipe: expected the name of a recipe, a file, YAML text or a dict, got int 7"),
    ({"recipe": {"version": 1, "steps": [{"flip": {}}]}}, "the recipe: unknown operation 'flip'"),
    ({"recipe": {"version": 1, "steps": [object]}}, "the recipe: expected what JSON can hold"),
    ({"recipe": "version: 1\nsteps: [what]\n"}, "the recipe:2: unknown operation 'what'"),
    ({"boxes": "pascal_voc"}, "boxes: expected xyxy, xywh, cxcywh, yolo, got 'pascal_voc'"),
    ({"classes": "cat"}, "classes: expected a list of names, got str 'cat'"),
    ({"classes": ["cat", "cat"]}, "classes: expected each name once, got cat, cat"),
    ({"seed": 1.5}, "seed: expected a whole number, got float 1.5"),
    ({"recipe": {"version": 1, "labels": {"classes": {"cow": {"min_area": 3}}}, "steps": []}, "classes": CLASSES},
     "labels.classes: no class 'cow' in the dataset"),
])  # fmt: skip
def test_a_pipeline_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        augpipe.Pipeline(**{"recipe": "detection", **given})


@pytest.mark.parametrize(("plan", "message"), [
    ({"version": 1}, "plan: not a plan"),
    ({"version": 9, "steps": []}, "plan: plan version 9, expected 1 or 2"),
    (7, "plan: expected the plan of a result, or the one of a record as a dict, got int 7"),
    ({"version": 1, "seed": 0, "drawn": [], "steps": [{"kind": "filter", "sigma": -4.0}]}, "plan: cannot be followed"),
], ids=["nothing", "version", "number", "sigma"])  # fmt: skip
def test_a_plan_that_is_none_is_refused(plan, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        augpipe.Pipeline("detection").replay(plan, photo())


def test_no_objects_at_all_are_none_and_have_their_shapes():
    empty = np.empty((0, 4))
    out = augpipe.Pipeline(RECIPE, classes=CLASSES)(
        photo(), boxes=empty, labels=[], masks=np.empty((0, 40, 60), bool), keypoints=np.empty((0, 3, 3))
    )
    assert (out.boxes.shape, out.labels, out.masks.shape[0], out.keypoints.shape) == ((0, 4), [], 0, (0, 3, 3))
