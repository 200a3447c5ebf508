import os

import numpy as np
import pytest
from PIL import Image

from augpipe.core.annotations import Annotations, Category, ObjectRow, objects_of
from augpipe.core.errors import RunError, UsageError
from augpipe.viz.sheet import (
    CAPTION_HEIGHT,
    GAP,
    HEADING_HEIGHT,
    KEY_HEIGHT,
    LEGEND_LINE,
    MARGIN,
    ROW_GAP,
    TITLE_HEIGHT,
    Tile,
    save_png,
    sheet,
    thumbnail,
)

CATS = {i: Category(i, i, f"class name {i}") for i in range(1, 200)}
RANDOM = np.random.default_rng(0)


def picture(h: int, w: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (h, w, 3), dtype=np.uint8)


def labelled(*category_ids: int) -> Annotations:
    return Annotations(objects=objects_of([ObjectRow(i, c, (2, 2, 30, 30)) for i, c in enumerate(category_ids)]))


def test_pictures_shrink_to_fit_and_keep_their_aspect():
    small, scale = thumbnail(picture(480, 640), 320)
    assert small.shape == (240, 320, 3)
    assert scale == (0.5, 0.5)
    tall, scale = thumbnail(picture(1001, 333), 240)
    assert tall.shape == (240, 80, 3)
    assert scale == (80 / 333, 240 / 1001)
    line, _ = thumbnail(picture(2, 5000), 320)
    assert line.shape == (1, 320, 3)


def test_small_pictures_grow_by_whole_factors():
    tiny = picture(18, 25)
    grown, scale = thumbnail(tiny, 320)
    assert grown.shape == (216, 300, 3)
    assert scale == (12.0, 12.0)
    assert (grown[::12, ::12] == tiny).all()
    nearly, scale = thumbnail(tiny[:, :, 0], 30)
    assert nearly.shape == (18, 25)
    assert scale == (1.0, 1.0)


def test_the_sheet_is_as_large_as_its_parts():
    tiles = [Tile(picture(100, 200), Annotations()), Tile(picture(150, 100), Annotations())]
    plain = sheet([tiles], CATS, tile_px=200)
    assert plain.shape == (2 * MARGIN + 150, 2 * MARGIN + 2 * 200 + GAP, 3)
    more = sheet([tiles, tiles[:1]], CATS, tile_px=200, title="Title", keys=["one"])
    assert more.shape[1] == plain.shape[1]
    assert more.shape[0] == plain.shape[0] + TITLE_HEIGHT + KEY_HEIGHT + ROW_GAP + 100


def test_headings_captions_and_legend_take_their_room():
    bare = sheet([[Tile(picture(100, 200), Annotations())]], CATS, tile_px=200)
    full = sheet([[Tile(picture(100, 200), labelled(1), "caption", "original")]], CATS, tile_px=200)
    assert full.shape[0] - bare.shape[0] == CAPTION_HEIGHT + HEADING_HEIGHT + LEGEND_LINE


def test_a_long_legend_is_cut():
    many = sheet([[Tile(picture(100, 200), labelled(*range(1, 100)))]], CATS, tile_px=200)
    assert many.shape[0] == 2 * MARGIN + 3 * LEGEND_LINE + 100


def test_pictures_stand_in_their_cells_untouched():
    a, b = picture(100, 200), picture(200, 100)
    whole = sheet([[Tile(a, Annotations()), Tile(b, Annotations())]], CATS, tile_px=200)
    assert (whole[MARGIN + 50 : MARGIN + 150, MARGIN : MARGIN + 200] == a).all()
    left = MARGIN + 200 + GAP + 50
    assert (whole[MARGIN : MARGIN + 200, left : left + 100] == b).all()
    assert len(np.unique(whole[: MARGIN - 1])) <= 2
    assert (whole[0, 0] == whole[-1, -1]).all()


def test_tiles_are_left_as_they_are():
    original = picture(100, 200)
    before = original.copy()
    sheet([[Tile(original, labelled(1, 2), "c", "h")]], CATS, tile_px=200)
    assert (original == before).all()


def test_hostile_words_do_not_change_the_layout():
    nasty = ["a\nb\x1b[2J\u202e\ud800", "x" * 2000, "猫" * 80, "é\u0301" * 100]
    plain = sheet([[Tile(picture(90, 200), labelled(1), "c", "h")]], CATS, tile_px=200, title="t", keys=["k"])
    for words in nasty:
        categories = {1: Category(1, 1, words)}
        tile = Tile(picture(90, 200), labelled(1), words, words)
        drawn = sheet([[tile]], categories, tile_px=200, title=words, keys=[words])
        assert drawn.shape == plain.shape
        assert (drawn[:, : MARGIN - 2] == drawn[0, 0]).all()
        assert (drawn[:, -MARGIN + 2 :] == drawn[0, 0]).all()


def test_a_sheet_of_nothing_is_a_small_picture():
    assert sheet([], CATS).shape == (2 * MARGIN, 2 * MARGIN + 320, 3)
    assert sheet([[]], CATS, title="nothing").shape[0] == 2 * MARGIN + TITLE_HEIGHT


def test_a_sheet_is_the_same_every_time():
    rows = [[Tile(picture(100, 150), labelled(3, 1, 2), "caption", "original")]]
    assert (sheet(rows, CATS, title="t") == sheet(rows, CATS, title="t")).all()


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
def test_saved_pictures_read_back(tmp_path, shape):
    pixels = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "sheet.png"
    path.write_bytes(b"older")
    save_png(path, pixels)
    with Image.open(path) as image:
        assert (np.asarray(image) == pixels).all()
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_saving_says_what_is_wrong(tmp_path):
    pixels = picture(4, 4)
    with pytest.raises(UsageError, match="folder does not exist"):
        save_png(tmp_path / "no" / "sheet.png", pixels)
    with pytest.raises(UsageError, match=r"ends in \.png"):
        save_png(tmp_path / "sheet.jpg", pixels)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        save_png(tmp_path / "folder.png", pixels)
    with pytest.raises(RunError, match="could not be written"):
        save_png(tmp_path / ("n" * 300 + ".png"), pixels)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.parametrize(
    ("fault", "expected"), [(PermissionError(13, "no"), UsageError), (OSError(28, "full"), RunError)]
)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fault, expected):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"older")

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(expected, match=r"sheet\.png"):
        save_png(path, picture(4, 4))
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UsageError, match="cannot be written to"):
            save_png(tmp_path / "sheet.png", picture(4, 4))
    finally:
        tmp_path.chmod(0o755)
