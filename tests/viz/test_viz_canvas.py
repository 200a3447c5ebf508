import cv2
import numpy as np
import pytest

from augpipe.core.annotations import U8
from augpipe.viz import canvas as ink
from augpipe.viz.canvas import Canvas, color_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2

BLACK: U8 = np.zeros((40, 60, 3), np.uint8)
WHITE = (255, 255, 255)


def covered(canvas: Canvas) -> np.ndarray:
    return canvas.pixels[:, :, 0] / 255.0


def test_colors_are_the_same_in_every_process():
    assert [color_of(i) for i in (1, 2, 3)] == [(63, 175, 243), (249, 149, 50), (64, 216, 104)]


def test_the_first_colors_are_far_apart_and_all_96_differ():
    first = np.array([color_of(i) for i in range(1, 33)], float)
    apart = np.linalg.norm(first[:, None] - first[None], axis=2)[~np.eye(32, dtype=bool)]
    assert apart.min() > 30
    assert len({color_of(i) for i in range(1, 97)}) == 96


@pytest.mark.parametrize("label", [0, -7, 10**9])
def test_any_number_has_a_color(label):
    assert all(0 <= level <= 255 for level in color_of(label))


def test_text_reads_on_every_color():
    for label in range(1, 97):
        ground, letters = np.array(color_of(label)), np.array(ink.text_color_on(color_of(label)))
        assert abs(float((ground - letters) @ (0.299, 0.587, 0.114))) > 95


def test_a_canvas_is_a_copy_and_gray_becomes_rgb():
    for picture in (BLACK, BLACK[:, :, 0]):
        canvas = Canvas(picture)
        canvas.frame((2, 2, 9, 9), 2, WHITE)
        assert canvas.pixels.shape == (40, 60, 3)
        assert not picture.any()


def test_a_frame_takes_the_share_of_each_pixel_that_it_covers():
    canvas = Canvas(BLACK)
    canvas.frame((10.25, 5.0, 30.0, 25.5), 2.0, WHITE)
    row = covered(canvas)[15]
    assert row[9:14] == pytest.approx([0, 0.75, 1, 0.25, 0], abs=0.003)
    assert row[27:31] == pytest.approx([0, 1, 1, 0], abs=0.003)
    column = covered(canvas)[:, 20]
    assert column[4:8] == pytest.approx([0, 1, 1, 0], abs=0.003)
    assert column[22:27] == pytest.approx([0, 0.5, 1, 0.5, 0], abs=0.003)


def test_a_negative_width_runs_outside_the_box():
    canvas = Canvas(BLACK)
    canvas.frame((10, 10, 20, 20), -1.0, WHITE)
    assert covered(canvas)[10:20, 10:20].sum() == 0
    assert covered(canvas).sum() == pytest.approx(12 * 12 - 10 * 10)


def test_a_thin_box_is_filled_and_a_turned_one_draws_nothing_much():
    canvas = Canvas(BLACK)
    canvas.frame((10, 10, 11, 20), 3.0, WHITE)
    assert covered(canvas).sum() == pytest.approx(10)
    canvas = Canvas(BLACK)
    canvas.frame((20, 20, 10, 10), 3.0, WHITE)
    assert covered(canvas).sum() == 0


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (100, 5, 120, 9), (-1e5, -1e5, 1e5, 1e5)])
def test_what_lies_outside_is_cut(box):
    canvas = Canvas(BLACK)
    canvas.frame(box, 2.0, WHITE)
    canvas.plate(box, 2.0, (0, 255, 0), 0.0)
    canvas.lines([box[:2], box[2:]], 2.0, WHITE, 0.0)
    canvas.disc(box[:2], 3.0, WHITE)
    assert not canvas.pixels.any()


def test_areas_of_lines_and_dots():
    canvas = Canvas(BLACK)
    canvas.lines([(10, 20), (40, 20)], 2.0, WHITE)
    assert covered(canvas).sum() == pytest.approx(30 * 2 + np.pi, rel=0.02)
    canvas = Canvas(BLACK)
    canvas.disc((20.3, 20.6), 6.0, WHITE)
    assert covered(canvas).sum() == pytest.approx(36 * np.pi, rel=0.02)
    canvas = Canvas(BLACK)
    canvas.disc((20.3, 20.6), 6.0, WHITE, hole=4.0)
    assert covered(canvas).sum() == pytest.approx(20 * np.pi, rel=0.02)
    canvas = Canvas(BLACK)
    canvas.plate((5, 5, 25, 15), 3.0, WHITE)
    assert covered(canvas).sum() == pytest.approx(200 - (4 - np.pi) * 9, rel=0.02)


def test_dashes_cover_about_half():
    canvas = Canvas(BLACK)
    canvas.lines([(5, 20), (55, 20)], 2.0, WHITE, dash=5.0)
    row = covered(canvas)[20]
    assert row[5:10].min() > 0.4
    assert row[11:14].max() == 0
    assert covered(canvas).sum() == pytest.approx(50, rel=0.1)


def test_a_line_of_no_length_is_a_dot():
    canvas = Canvas(BLACK)
    canvas.lines([(10, 10), (10, 10)], 3.0, WHITE)
    assert covered(canvas).sum() == pytest.approx(np.pi * 1.5**2, rel=0.1)


def test_a_bitmap_is_shrunk_by_area_at_any_scale():
    bitmap = np.random.default_rng(0).integers(0, 2, (24, 36), dtype=np.uint8)
    quarter = ink.bitmap_coverage(bitmap, (0, 0), (0.25, 0.25), (0, 0, 9, 6))
    assert quarter == pytest.approx(cv2.resize(bitmap.astype(np.float32), (9, 6), interpolation=cv2.INTER_AREA))
    odd = ink.bitmap_coverage(bitmap, (5, 3), (0.37, 0.81), (0, 0, 20, 30))
    assert odd.sum() == pytest.approx(bitmap.sum() * 0.37 * 0.81, rel=1e-5)
    twice = ink.bitmap_coverage(bitmap, (1, 2), (2.0, 2.0), (0, 0, 80, 60))
    assert (twice[4:52, 2:74] == bitmap.repeat(2, 0).repeat(2, 1)).all()


def test_rings_cover_their_union():
    square, other = np.array([[2, 2], [8, 2], [8, 8], [2, 8.0]]), np.array([[6, 6], [12, 6], [12, 12], [6, 12.0]])
    coverage = ink.rings_coverage([square, other], (0, 0, 20, 20))
    assert coverage.sum() == pytest.approx(36 + 36 - 4)
    assert set(np.unique(coverage)) == {0.0, 1.0}
    half = ink.rings_coverage([square + 0.5], (1, 1, 20, 20))
    assert half.sum() == pytest.approx(36)
    assert half[1, 1] == pytest.approx(0.25)


def test_the_rim_is_inside_and_does_not_follow_the_edge_of_the_array():
    shape = np.zeros((12, 12), np.float32)
    shape[4:, 2:10] = 1.0
    rim = ink.rim_of(shape, 1)
    assert (rim <= shape).all()
    assert (rim[4, 2:10] == 1).all()
    assert (rim[11, 3:9] == 0).all()


def test_hostile_words_become_one_line_of_known_letters():
    assert ink.shown("naïve café × 2") == "naive cafe x 2"
    assert ink.shown("a\nb\x1b[0m") == "a\\nb\\x1b[0m"
    assert set(ink.shown("猫と犬")) == {"?"}
    assert ink.shown("\ud800") == "\\ud800"
    assert ink.shown("") == ""


def test_words_are_cut_to_the_width():
    for width in (0, 5, 30, 100, 10_000):
        cut = ink.fitted("x" * 200, 11.0, width)
        assert ink.text_width(cut, 11.0) <= width
        assert cut in ("x" * 200, "") or cut.endswith("…")
    assert ink.fitted("short", 11.0, 100) == "short"


def test_text_stands_on_its_baseline():
    canvas = Canvas(BLACK)
    canvas.text("HEH", (10, 30), 14.0, WHITE)
    rows = np.flatnonzero(canvas.pixels.any(axis=(1, 2)))
    assert rows[-1] == 29
    assert len(rows) == pytest.approx(ink.cap_height(14.0), abs=1.0)
