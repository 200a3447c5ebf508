import numpy as np
import pytest

from augpipe.core.annotations import Annotations, Category, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.labels.rle import rle_of
from augpipe.viz import labels
from augpipe.viz.canvas import color_of
from augpipe.viz.labels import LEFT, MIDDLE, RIGHT, classes_of, draw_labels, name_of, side_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2

H, W = 90, 120
GRAY = np.full((H, W, 3), 110, np.uint8)
CATS = {
    7: Category(7, 1, "cat"),
    9: Category(9, 2, "person", keypoints=("left eye", "right eye", "nose"), skeleton=((1, 2), (2, 3), (3, 99))),
}
BOX = (30.0, 24.0, 74.0, 60.0)
SQUARE = np.array([[30, 24], [74, 24], [74, 60], [30, 60.0]])


def one(**fields: object) -> Annotations:
    return Annotations(objects=objects_of([ObjectRow(**{"index": 0, "category_id": 7, "box_xyxy": BOX, **fields})]))


def raster(value: int, dtype: type = np.uint8) -> np.ndarray:
    out = np.zeros((H, W), dtype)
    out[24:60, 30:74] = value
    return out


@pytest.fixture
def no_names(monkeypatch):
    monkeypatch.setattr(labels, "MOST_NAMES", 0)


def changed(annotations: Annotations, **kwargs: object) -> np.ndarray:
    return (draw_labels(GRAY, annotations, CATS, **kwargs) != GRAY).any(axis=2)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.usefixtures("no_names")
def test_a_box_is_drawn_to_the_pixel():
    picture = np.zeros((64, 64, 3), np.uint8)
    annotations = one(box_xyxy=(10.0, 20.0, 30.0, 40.0))
    drawn = draw_labels(picture, annotations, CATS)
    assert extent(drawn.any(axis=2)) == (10, 20, 30, 40)  # the dark line outside does not show on black
    assert tuple(drawn[20, 15]) == tuple(drawn[30, 10]) == tuple(drawn[39, 20]) == tuple(drawn[30, 29]) == color_of(1)
    assert not drawn[24:36, 14:26].any()
    white = draw_labels(picture + 255, annotations, CATS)
    assert extent((white < 255).any(axis=2)) == (9, 19, 31, 41)


@pytest.mark.usefixtures("no_names")
def test_scaled_labels_are_drawn_like_labels_of_the_scaled_picture():
    scaled = draw_labels(GRAY, one(box_xyxy=(60.0, 24.0, 148.0, 60.0)), CATS, (0.5, 1.0))
    assert (scaled == draw_labels(GRAY, one(), CATS)).all()
    halved = draw_labels(GRAY, one(box_xyxy=(60.0, 48.0, 148.0, 120.0)), CATS, 0.5)
    assert (halved == scaled).all()


ROOM = {
    "box": one(),
    "rings": one(segmentation=Rings((SQUARE,))),
    "rle": one(segmentation=rle_of(raster(1))),
    "instance": Annotations(objects=one(instance=5).objects, instance=raster(5)),
    "semantic": Annotations(semantic=raster(9)),
    "semantic of 16 bits": Annotations(semantic=raster(900, np.uint16)),
    "panoptic": Annotations(panoptic=raster(66000, np.uint32), segments_info=({"id": 66000, "category_id": 7},)),
    "obb": one(obb=SQUARE),
    "parts": one(box_xyxy=(50, 40, 52, 42), parts=(ObjectPart("head", BOX),)),
    "crowd": one(iscrowd=1),
    "crowd with mask": one(iscrowd=1, segmentation=rle_of(raster(1))),
    "keypoints": one(category_id=9, keypoints=np.array([[31, 25, 2], [70, 26, 1], [50, 58, 2.0]])),
}
FILLED = {"rings", "rle", "instance", "semantic", "semantic of 16 bits", "panoptic", "crowd", "crowd with mask"}


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("kind", ROOM)
def test_every_kind_of_label_changes_its_own_place_only(kind):
    drawn = changed(ROOM[kind])
    x0, y0, x1, y1 = extent(drawn)
    assert (x0, y0, x1, y1) == pytest.approx((30, 24, 74, 60), abs=7 if kind == "keypoints" else 2)
    if kind in FILLED:
        assert drawn[24:60, 30:74].all()
    else:
        assert drawn.any()
        assert not drawn[24:60, 30:74].all()


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("kind", ["rings", "rle", "instance"])
def test_masks_show_the_picture_through(kind):
    drawn = draw_labels(GRAY, ROOM[kind], CATS)
    mixed = 110 + 0.38 * (np.array(color_of(1)) - 110)
    assert drawn[42, 52] == pytest.approx(mixed, abs=1)


@pytest.mark.usefixtures("no_names")
def test_masks_of_all_kinds_look_the_same():
    pictures = [draw_labels(GRAY, ROOM[kind], CATS) for kind in ("rings", "rle", "instance")]
    assert all((picture == pictures[0]).all() for picture in pictures)


def test_void_and_background_are_left_alone():
    assert not changed(Annotations(semantic=raster(255))).any()
    assert not changed(Annotations(semantic=raster(65535, np.uint16))).any()
    assert not changed(Annotations(semantic=raster(0))).any()


def test_a_semantic_raster_gives_way_to_object_masks():
    both = Annotations(objects=ROOM["rings"].objects, semantic=np.full((H, W), 9, np.uint8))
    assert (draw_labels(GRAY, both, CATS) == draw_labels(GRAY, ROOM["rings"], CATS)).all()
    assert classes_of(both, CATS) == {7}
    assert classes_of(ROOM["semantic"], CATS) == {9}
    assert classes_of(ROOM["panoptic"], CATS) == {7}


def test_hidden_keypoints_are_hollow_and_absent_ones_are_not_drawn():
    def dots(v: float) -> np.ndarray:
        keypoints = np.array([[30, 30, v], [0, 0, 0], [0, 0, 0.0]])
        return draw_labels(GRAY, one(category_id=9, keypoints=keypoints, box_xyxy=(0, 0, 120, 90)), CATS)

    assert tuple(dots(2)[30, 30]) == LEFT
    assert tuple(dots(1)[30, 30]) != LEFT
    assert (dots(0)[20:80, 20:110] == 110).all()


def test_sides_by_name():
    assert [side_of(n) for n in ("left_eye", "Left Hip", "l_knee", "knee-l")] == [LEFT] * 4
    assert [side_of(n) for n in ("right_eye", "r_ankle", "RIGHT")] == [RIGHT] * 3
    assert [side_of(n) for n in ("nose", "tail", "neck", "")] == [MIDDLE] * 4


def test_names_stand_above_their_box_or_inside_at_the_top():
    above = changed(one())
    assert above[10:22, 32:40].any()
    at_top = changed(one(box_xyxy=(30.0, 0.0, 90.0, 60.0)))
    assert at_top[2:12, 36:44].all()
    at_right = changed(one(box_xyxy=(105.0, 40.0, 120.0, 60.0)))
    assert at_right[30:39, 102:105].all()


def test_names_are_left_out_where_they_would_hide_the_picture():
    small = changed(one(box_xyxy=(50.0, 40.0, 58.0, 48.0)))
    assert extent(small) == (49, 39, 59, 49)
    many = [ObjectRow(i, 7, (5.0 + 4 * i, 40.0, 8.0 + 4 * i, 70.0)) for i in range(26)]
    assert extent(changed(Annotations(objects=objects_of(many))))[1] == 39


def test_names_do_not_lie_on_each_other():
    rows = [ObjectRow(i, 7, BOX) for i in range(3)]
    apart = [labels._room(BOX, (30, 12), (W, H), [])]
    for _ in rows:
        place = labels._room(BOX, (30, 12), (W, H), [p for p in apart if p])
        assert place is None or not labels._touches(place, [p for p in apart if p])
        apart.append(place)


@pytest.mark.parametrize(
    "name", ["a\nb\r\x1b[2J\u202e", "x" * 300, "кошка", "猫🐱\ud800", "", "   ", "naïve", "\u0301" * 50]
)
def test_hostile_names_are_drawn_within_the_picture(name):
    categories = {7: Category(7, 1, name)}
    drawn = draw_labels(GRAY, one(), categories)
    assert drawn.shape == GRAY.shape
    assert not (drawn[:8] != GRAY[:8]).any()
    assert any(c.isalnum() for c in name_of(categories[7], 7))


def test_names_without_known_letters_become_numbers():
    assert name_of(Category(7, 3, "кошка"), 7) == "class 3"
    assert name_of(None, 12) == "class 12"


@pytest.mark.parametrize("words", [{"tags": ("indoor", "dog")}, {"captions": ("A long caption " * 20,)}])
def test_words_of_the_picture_run_along_the_bottom(words):
    drawn = changed(Annotations(**words))
    assert drawn[-10:].all()
    assert not drawn[:-16].any()


@pytest.mark.parametrize(
    "fields",
    [
        {"box_xyxy": (float("nan"), 1, 2, 3)},
        {"box_xyxy": (1e300, 1, 2, 3)},
        {"obb": np.full((4, 2), np.inf)},
        {"segmentation": Rings(())},
        {"segmentation": Rings((np.full((3, 2), np.nan),))},
        {"segmentation": Rings((SQUARE * 1e5,))},
        {"segmentation": rle_of(np.zeros((H, W), np.uint8))},
        {"keypoints": np.zeros((0, 3))},
        {"keypoints": np.array([[np.nan, 1, 2], [1e300, 5, 2]])},
        {"parts": (ObjectPart("x", (np.nan, 0, 1, 1)), ObjectPart("y", (30, 30, 20, 20)))},
        {"box_xyxy": (500, 500, 600, 600), "segmentation": Rings((SQUARE + 500,))},
        {"box_xyxy": (30, 30, 30, 30), "iscrowd": 1},
        {"category_id": 12345},
    ],
)
def test_odd_labels_do_not_break_the_drawing(fields):
    assert draw_labels(GRAY, one(**fields), CATS).shape == GRAY.shape


@pytest.mark.parametrize("picture", [GRAY[:, :, 0], GRAY, GRAY[:1, :1], GRAY[:, :1, 0]])
def test_any_picture_can_be_drawn_on_and_is_left_as_it_is(picture):
    before = picture.copy()
    for annotations in (Annotations(), *ROOM.values(), Annotations(tags=("a",))):
        drawn = draw_labels(picture, annotations, CATS)
        assert drawn.shape == (*picture.shape[:2], 3)
        assert drawn.dtype == np.uint8
    assert (picture == before).all()


def test_no_labels_change_nothing():
    assert not changed(Annotations()).any()
