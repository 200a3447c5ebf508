"""`augpipe verify` as a user meets it, and the painting that it rests on beside other painters."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from command_line import call, lines
from forge import forged
from PIL import Image, ImageDraw
from runs import recipe_of, run
from verifying import STRONG, half_a_pixel, one_keypoint

from augpipe.pixels import reference
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp
from augpipe.verification import supersample

# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(coco, tmp_path_factory):
    out = tmp_path_factory.mktemp("verify") / "out"
    run(coco, out, recipe_of(STRONG), copies=2, seed=1)
    return out


def test_a_sound_folder(finished, coco, tmp_path):
    result = call("verify", finished, "--against", coco, "-w", 0, "--sheet", tmp_path / "worst.png")
    assert result.exit_code == 0, result.output
    told = lines(result.stdout)
    assert told[0].startswith(f"{finished}: 16 samples in 8 shards")
    assert told[-1] == f"nothing is off; 16 samples compared with {coco}"
    assert [line for line in told if line.strip().startswith("boxes of polygons")]
    assert cv2.imread(str(tmp_path / "worst.png")).shape[1] > 900


def test_without_a_source_it_says_what_it_did_not_do(finished):
    result = call("verify", finished)
    assert result.exit_code == 0
    assert lines(result.stdout)[-1] == "nothing is off; labels were not compared, say their source with --against SRC"


def test_what_is_off_is_said_and_ends_in_1(finished, coco, tmp_path):
    result = call("verify", forged(finished, tmp_path / "a", half_a_pixel), "--against", coco, "-w", 0)
    assert result.exit_code == 1
    (row,) = [line for line in lines(result.stdout) if "shifted as a whole" in line]
    assert row.split()[-5:] == ["OFF", "all", "boxes", "of", "polygon"]
    assert " off; 16 samples compared with" in lines(result.stdout)[-1]

    found = json.loads(
        call("verify", forged(finished, tmp_path / "b", one_keypoint), "--against", coco, "--json").stdout
    )
    assert found["ok"] is False
    assert found["measures"]["keypoints"]["ok"] is False
    assert found["measures"]["keypoints"]["worst"] == pytest.approx(1.0, abs=0.01)
    assert found["measures"]["box polygon"]["ok"] is True


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["{tmp}/nothing"], "expected a folder that `augpipe augment` has finished, but there is no such folder"),
        (["{out}", "--samples", "5"], "say which one with --against SRC"),
        (["{out}", "--sheet", "x.png"], "say which one with --against SRC"),
        (["{out}", "--against", "{coco}", "--samples", "0"], "expected 1 or more --samples"),
        (["{out}", "--against", "{tmp}/nothing"], "nothing"),
    ],
)
def test_usage_errors(finished, coco, tmp_path, options, expected):
    result = call("verify", *(o.format(out=finished, coco=coco, tmp=tmp_path) for o in options))
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.split())
    assert len(lines(result.stderr)) <= 2


# --- painting --------------------------------------------------------------------------------------------------------

RING = np.array([[3.2, 2.7], [35.9, 8.1], [28.4, 30.3], [17.0, 15.0], [6.6, 27.2]])


def test_filling_agrees_with_pillow():
    """Pillow paints on a canvas of 16×16 samples a pixel, of which ours has every fourth."""
    painter = Image.new("1", (40 * 16, 32 * 16))
    ImageDraw.Draw(painter).polygon([(x * 16 - 0.5, y * 16 - 0.5) for x, y in RING.tolist()], fill=1)
    theirs = np.asarray(painter).reshape(32 * 4, 4, 40 * 4, 4).mean(axis=(1, 3))
    ours = supersample.filled([RING], (40, 32))
    sure = (theirs == 0) | (theirs == 1)
    assert (ours == (theirs > 0.5))[sure].all()
    assert sure.mean() > 0.95


def test_a_ring_that_crosses_itself_is_filled_by_the_even_odd_rule():
    star = [[20 + 15 * np.sin(4 * np.pi * i / 5), 16 - 15 * np.cos(4 * np.pi * i / 5)] for i in range(5)]
    marks = supersample.filled([np.array(star)], (40, 32))
    assert not marks[16 * 4, 20 * 4]
    assert marks[6 * 4, 20 * 4]


STEPS = [
    Warp(matrix=(0.9, 0.3, 2.0, -0.25, 1.1, 6.0, 0.001, 0.0005, 1.0), size_wh=(44, 40)),
    PadFill(region=((4.0, 5.0), (40.0, 6.0), (39.0, 36.0), (6.0, 33.0)), fill=(0, 0, 0)),
    Warp(matrix=(-1.0, 0.0, 44.0, 0.0, 1.0, -3.0, 0.0, 0.0, 1.0), size_wh=(41, 30)),
    Cutout(boxes_xyxy=((5, 5, 14, 11),), fill=(0, 0, 0)),
]


def test_walking_back_is_what_the_reference_paints():
    """A mask as a picture of levels through the reference: a sample is set where its pixel is nearly white."""
    canvas = supersample.SampleGrid(supersample.filled([RING], (40, 32)))
    picture = supersample.enlarged(supersample.filled([RING], (40, 32), 1), 1).astype(np.uint8) * 255
    theirs = reference.apply(picture, STEPS)
    ours = canvas.looked_up(STEPS, (40, 32), (0, 0, 41, 30), cut_erased=True)
    share = ours.reshape(30, 4, 41, 4).mean(axis=(1, 3))
    assert ((theirs > 127) == (share >= 0.5)).mean() > 0.97
    assert share[theirs > 250].mean() > 0.97
    assert share[theirs < 5].mean() < 0.02


def test_forward_and_back_are_inverses():
    points = np.random.default_rng(0).uniform((0, 0), (40, 32), (500, 2))
    there = supersample.Particles(points, STEPS, (40, 32))
    back, shown = supersample.walked_back(there.xy[there.shown & there.bare], STEPS, (40, 32), cut_erased=True)
    assert shown.all()
    assert np.abs(back - points[there.shown & there.bare]).max() < 1e-9
    assert 100 < shown.size < 400


def test_areas_are_those_of_the_moved_shape():
    canvas = supersample.SampleGrid(supersample.filled([RING], (40, 32)))
    turn = Warp(matrix=(0.8, -0.6, 20.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0), size_wh=(100, 100))
    particles = supersample.Particles.of(canvas, [turn], (40, 32))
    x, y = RING.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    assert particles.weight.sum() == pytest.approx(area, rel=0.01)
    assert particles.share(particles.shown) == 1.0
    few = supersample.Particles.of(canvas, [turn], (40, 32), most=800)
    assert len(few.xy) < 300
    assert few.weight.sum() == pytest.approx(area, rel=0.05)


def test_outlines_are_dense_and_hold_the_corners():
    points = supersample.outline([RING])
    assert all((np.abs(points - corner).max(axis=1) < 1e-9).any() for corner in RING)
    assert np.hypot(*np.diff(points, axis=0).T).max() <= 0.125 + 1e-9
