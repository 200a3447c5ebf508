"""A folder a class, and pictures beside masks."""

from __future__ import annotations

import numpy as np
import pytest
from builders import keys, opened, read_all, rejected, write_mask, write_picture
from PIL import Image

from augpipe.core.errors import DatasetError
from augpipe.formats.indexing import names_in
from augpipe.formats.masks.read import gray_of


def classes(source) -> list[tuple[int, int, str]]:
    return [(c.id, c.label, c.name) for c in source.categories]


# --- classes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def animals(tmp_path):
    for name in ("dog/2.jpg", "cat/1.png", "cat/deep/er/3.jpg", "zebra x/1.jpg"):
        write_picture(tmp_path / "set" / name)
    return tmp_path / "set"


def test_a_folder_a_class(animals):
    source = opened(animals)
    assert source.format == "imagefolder"
    assert classes(source) == [(1, 1, "cat"), (2, 2, "dog"), (3, 3, "zebra x")]
    assert {key: labels.tags for key, labels in zip(keys(source), read_all(source), strict=True)} == {
        "cat/1.png": ("cat",), "cat/deep/er/3.jpg": ("cat",), "dog/2.jpg": ("dog",), "zebra x/1.jpg": ("zebra x",)
    }  # fmt: skip
    assert all(len(labels.objects) == 0 for labels in read_all(source))


def test_hidden_files_and_other_files_are_no_pictures(animals):
    for name in ("cat/.hidden.jpg", ".git/x.jpg", "cat/.thumbs/1.jpg"):
        write_picture(animals / name)
    (animals / "cat" / "notes.md").write_text("x")
    assert len(keys(opened(animals))) == 4


def test_what_is_no_picture_by_its_ending_is_told(animals):
    assert opened(animals).remarks == ()
    (animals / "cat" / "notes.md").write_text("x")
    (animals / "cat" / "deep" / "A.HEIC").write_bytes(b"x")
    (animals / "dog" / "no ending").write_bytes(b"x")
    write_picture(animals / "beside.jpg")
    write_picture(animals / ".hidden.jpg")
    assert opened(animals).remarks == (
        "left out: 3 files without the ending of a picture (.heic, .md, none)",
        "left out: 1 picture beside the class folders",
    )


def test_a_licence_beside_the_folders_says_nothing(animals):
    (animals / "LICENSE.txt").write_text("free")
    (animals / "labels.csv").write_text("x")
    assert opened(animals).format == "imagefolder"


def test_a_classes_file_fixes_the_ids(animals, tmp_path):
    (tmp_path / "classes.txt").write_text("zebra x\ndog\nowl\ncat\n")
    assert classes(opened(animals, classes=tmp_path / "classes.txt"))[0] == (1, 1, "zebra x")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    source = opened(animals, classes=tmp_path / "classes.txt")
    assert classes(source) == [(1, 1, "dog"), (2, 2, "cat")]
    assert any("of 'zebra x' (as in zebra x/" in remark for remark in source.remarks)


def test_splits_have_the_same_classes(tmp_path):
    for name in ("train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", "val/owl/4.jpg"):
        write_picture(tmp_path / name)
    assert [(e.key, e.split) for e in opened(tmp_path).entries] == [
        ("train/cat/1.jpg", "train"), ("train/dog/2.jpg", "train"), ("val/cat/3.jpg", "val"), ("val/owl/4.jpg", "val"),
    ]  # fmt: skip
    train, val = opened(tmp_path, split="train"), opened(tmp_path, split="val")
    assert (keys(train), keys(val)) == (["cat/1.jpg", "dog/2.jpg"], ["cat/3.jpg", "owl/4.jpg"])
    assert classes(train) == classes(val) == [(1, 1, "cat"), (2, 2, "dog"), (3, 3, "owl")]
    with pytest.raises(DatasetError, match="no split 'test'; there are train, val"):
        opened(tmp_path, split="test")


def test_a_single_class_is_read_when_asked_for(tmp_path):
    write_picture(tmp_path / "cat" / "1.jpg")
    assert keys(opened(tmp_path, format="imagefolder")) == ["cat/1.jpg"]
    with pytest.raises(DatasetError, match="no dataset that is known"):
        opened(tmp_path)


def test_no_pictures(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(DatasetError, match="no annotated pictures found"):
        opened(tmp_path, format="imagefolder")


# --- masks -----------------------------------------------------------------------------------------------------------


def values(*used: int) -> np.ndarray:
    out = np.zeros((10, 20), np.uint8)
    for i, value in enumerate(used):
        out[i, 3:9] = value
    return out


def masked(root, masks: dict[str, np.ndarray], mode="L", pictures=None, folders=("images", "masks")):
    for stem, raster in masks.items():
        write_mask(root / folders[1] / f"{stem}.png", raster, mode)
    for stem in masks if pictures is None else pictures:
        write_picture(root / folders[0] / f"{stem}.jpg")
    return root


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_values_are_classes(tmp_path, mode):
    masks = {"a": values(3, 7), "b": values(7, 255), "c": values()}
    source = opened(masked(tmp_path, masks, mode))
    assert source.format == "masks"
    assert classes(source) == [(3, 1, "class_3"), (7, 2, "class_7")]
    for raster, labels in zip(masks.values(), read_all(source), strict=True):
        assert labels.semantic.dtype == np.uint8
        assert np.array_equal(labels.semantic, raster)
        assert labels.size_wh == (20, 10)
    assert [entry.file for entry in source.entries] == ["masks/a.png", "masks/b.png", "masks/c.png"]


@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_black_and_white_masks_have_one_class(tmp_path, mode):
    source = opened(masked(tmp_path, {"a": values(255), "b": values()}, mode))
    assert classes(source) == [(1, 1, "foreground")]
    first, second = read_all(source)
    assert np.array_equal(first.semantic, values(1))
    assert second.semantic.max() == 0
    assert source.remarks == (
        "the masks hold only 0 and 255: 255 is read as a class, 'foreground' (id 1), not as void",
    )


def test_a_name_for_the_foreground(tmp_path):
    (tmp_path / "classes.txt").write_text("road\n")
    source = opened(masked(tmp_path / "set", {"a": values(255)}), classes=tmp_path / "classes.txt")
    assert classes(source) == [(1, 1, "road")]


def test_sixteen_bit_masks(tmp_path):
    raster = values().astype(np.uint16)
    raster[0, 0] = 4000
    path = masked(tmp_path, {"a": values()}) / "masks" / "a.png"
    Image.fromarray(raster).save(path)
    source = opened(tmp_path)
    assert classes(source) == [(4000, 1, "class_4000")]
    (labels,) = read_all(source)
    assert labels.semantic.dtype == np.uint16
    assert np.array_equal(labels.semantic, raster)


def test_colored_masks_are_rejected(tmp_path):
    masked(tmp_path, {"a": values(1), "b": values(1)})
    colors = np.zeros((10, 20, 3), np.uint8)
    colors[2, 2] = (128, 0, 0)
    Image.fromarray(colors).save(tmp_path / "masks" / "b.png")
    source = opened(tmp_path)
    assert classes(source) == [(1, 1, "class_1")]
    reject = rejected(source, "b.jpg")
    assert (reject.stage, reject.code, reject.file) == ("labels", "bad-mask", "masks/b.png")
    assert reject.message == "masks/b.png: the mask is colored; expected gray values or palette indexes"


def test_a_broken_mask_is_rejected(tmp_path):
    masked(tmp_path, {"a": values(1), "b": values(1)})
    (tmp_path / "masks" / "b.png").write_bytes(b"no picture")
    assert rejected(opened(tmp_path), "b.jpg").message.startswith("masks/b.png: not a mask")


def test_another_void(tmp_path):
    assert classes(opened(masked(tmp_path, {"a": values(9, 1)}), void=9)) == [(1, 1, "class_1")]


def test_names_for_the_values(tmp_path):
    masked(tmp_path / "set", {"a": values(1, 3, 255)})
    (tmp_path / "classes.txt").write_text("road\nsky\ncar\n")
    source = opened(tmp_path / "set", classes=tmp_path / "classes.txt")
    assert classes(source) == [(1, 1, "road"), (2, 2, "sky"), (3, 3, "car")]
    (tmp_path / "classes.txt").write_text("_background_\nroad\nsky\ncar\n")  # as labelme's tools write it
    assert classes(opened(tmp_path / "set", classes=tmp_path / "classes.txt")) == classes(source)
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    with pytest.raises(DatasetError, match="lists 2 names for the values from 1 on, but the masks hold 3"):
        opened(tmp_path / "set", classes=tmp_path / "classes.txt")


@pytest.mark.parametrize("ending", ["", "_mask", "-mask"])
def test_stems(tmp_path, ending):
    masked(tmp_path, {f"x/a{ending}": values(1)}, pictures=["x/a"])
    source = opened(tmp_path)
    assert keys(source) == ["x/a.jpg"]
    assert source.entries[0].file == f"masks/x/a{ending}.png"


def test_what_has_no_partner_is_left_out_and_told(tmp_path):
    masked(tmp_path, {"a": values(1), "m": values(1)}, pictures=["a", "p", "q"])
    source = opened(tmp_path)
    assert keys(source) == ["a.jpg"]
    assert source.remarks == ("left out: 2 pictures without a mask", "left out: 1 mask without a picture")


def test_two_masks_of_one_picture_are_refused(tmp_path):
    masked(tmp_path, {"x/a": values(1)}, pictures=["x/a"])
    write_mask(tmp_path / "masks" / "x" / "a.bmp", values(1))
    with pytest.raises(DatasetError, match=r"two masks for one picture, x/a\.bmp and x/a\.png; remove one"):
        opened(tmp_path)


def test_splits_of_masks_have_the_same_classes(tmp_path):
    masked(tmp_path, {"train/a": values(5), "val/b": values(2)})
    train, val, whole = (opened(tmp_path, split=s) for s in ("train", "val", None))
    assert (keys(train), keys(val), keys(whole)) == (["a.jpg"], ["b.jpg"], ["train/a.jpg", "val/b.jpg"])
    assert classes(train) == classes(val) == classes(whole) == [(2, 1, "class_2"), (5, 2, "class_5")]
    assert train.remarks == ()
    with pytest.raises(DatasetError, match="no split 'test'; there are train, val"):
        opened(tmp_path, split="test")


@pytest.mark.parametrize(
    "folders",
    [("train/images", "train/masks", "val/images", "val/masks"), ("train", "trainannot", "val", "valannot"),
     ("img_dir/train", "ann_dir/train", "img_dir/val", "ann_dir/val"),
     ("train", "train_labels", "valid", "valid_labels"),
     ("images/training", "annotations/training", "images/validation", "annotations/validation")],
)  # fmt: skip
def test_masks_of_splits_as_tools_lay_them_out(tmp_path, folders):
    for (pictures, masks), value in zip((folders[:2], folders[2:]), (1, 2), strict=True):
        write_picture(tmp_path / pictures / "a.jpg", (4, 3))
        write_mask(tmp_path / masks / "a.png", values(value))
    whole = opened(tmp_path)
    assert whole.format == "masks"
    assert [entry.split for entry in whole.entries] == ["train", "val"]
    assert [np.unique(labels.semantic).tolist() for labels in read_all(whole)] == [[0, 1], [0, 2]]
    assert classes(whole) == classes(opened(tmp_path, split="val")) == [(1, 1, "class_1"), (2, 2, "class_2")]
    assert [a.semantic.max() for a in read_all(opened(tmp_path, split="validation"))] == [2]


@pytest.mark.parametrize("names", [("imgs", "masks"), ("Images", "Masks"), ("images", "labels_png")])
def test_folders_by_other_names(tmp_path, names):
    assert keys(opened(masked(tmp_path, {"a": values(1)}, folders=names))) == ["a.jpg"]


def test_missing_folders(tmp_path):
    with pytest.raises(DatasetError, match="expected the folders images/ and masks/"):
        opened(tmp_path, format="masks")


def test_the_fingerprint_covers_the_masks(tmp_path):
    before = opened(masked(tmp_path, {"a": values(1)})).fingerprint()
    assert opened(masked(tmp_path, {"a": values(1, 1)})).fingerprint() != before


def test_gray_saved_as_color_is_gray():
    ids = np.array([[0, 0x010101, 0xFFFFFF]], np.uint32)
    assert gray_of(ids).tolist() == [[0, 1, 255]]
    assert gray_of(np.array([[0x010100]], np.uint32)) is None


def test_names_in_a_folder_that_may_not_be_read(tmp_path):
    (tmp_path / "b").write_text("")
    (tmp_path / "a").write_text("")
    assert names_in(tmp_path) == ["a", "b"]
    assert names_in(tmp_path / "a") == []
    assert names_in(tmp_path / "gone") == []
