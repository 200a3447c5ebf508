"""Layers: the backends alike, the reference within a level, and alpha as plain geometry has it."""

from __future__ import annotations

import tracemalloc

import msgspec
import numpy as np
import pytest
from contents import noise_picture
from step_cases import SIZES
from step_checks import check_step

from augpipe.core.color import luma
from augpipe.pixels import cpu, reference
from augpipe.pixels.steps.overlay import Overlay
from augpipe.pixels.steps.overlay_shapes import ONE, Marks, Region, Surface

KNOTS = tuple(int(v) for v in np.random.default_rng(3).integers(0, ONE + 1, 35))
SHAPES = {
    "surface": Surface((7, 5), KNOTS),
    "streaks": Marks("streak", radius=12, reach_xy=(30, 75), count=40, word=7),
    "discs": Marks("disc", radius=40, places=((3, 4), (-2, 9), (400, 1)), count=9, word=2**63 + 5),
    "glow": Marks("glow", radius=16 * 30, places=((20, 10),)),
    "region": Region(((0, 0), (400, 80), (300, 300), (-60, 200)), soft=48),
}
COLOR = (200, 230, 40)


@pytest.mark.parametrize("mode", ["mix", "screen", "gain"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_backends_agree(shape, mode):
    for strength in (ONE, 300) if mode != "gain" else (-700, ONE):
        step = Overlay(mode=mode, color=COLOR, strength=strength, shape=shape)
        check_step(step, [noise_picture(s, c, 5) for s in (*SIZES, (1, 1), (150, 70)) for c in (1, 3)], apart=1)


def test_a_level_surface_is_level():
    step = Overlay(mode="mix", color=(254, 254, 254), strength=ONE, shape=Surface((4, 4), (512,) * 16))
    assert (reference.apply(np.zeros((9, 7), np.uint8), [step]) == 127).all()
    assert (step.shape.alpha((700, 300)) == 512).all()


def test_a_surface_of_rising_knots_rises_evenly_from_edge_to_edge():
    rising = Surface((7, 4), tuple(int(1024 * (column - 1) / 4) for _ in range(4) for column in range(7)))
    alpha = rising.alpha((400, 3))[1].astype(float)
    assert np.abs(alpha - 1024 * (np.arange(400) + 0.5) / 400).max() <= 2


def test_a_disc_has_its_area():
    alpha = Marks("disc", radius=16 * 10, places=((30, 30),)).alpha((61, 61))
    assert alpha.sum() / ONE == pytest.approx(np.pi * 100, rel=0.01)
    assert alpha[30, 30] == ONE
    assert alpha[30, 41] == 0


def test_marks_are_spread_evenly_and_the_strongest_counts():
    alpha = Marks("disc", radius=8, count=4000, word=1).alpha((200, 100))
    quarters = [part.sum() for half in np.split(alpha, 2) for part in np.split(half, 2, axis=1)]
    assert max(quarters) < 1.15 * min(quarters)
    assert alpha.max() == ONE


def test_a_mark_larger_than_the_canvas_takes_the_memory_of_the_canvas():
    """A glow over the half of a large photograph, of which the picture shows a part."""
    step = Overlay(
        mode="screen", color=COLOR, strength=ONE, shape=Marks("glow", radius=16 * 32_000, places=((3000, 10),))
    )
    assert step.fault(10**6) is None
    picture = np.full((500, 400), 7, np.uint8)
    tracemalloc.start()
    made = cpu.apply(picture, [step]).astype(float)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * picture.size
    away2 = ((np.arange(400) - 3000) ** 2 + (np.arange(500)[:, None] - 10) ** 2) / 32_000**2
    assert np.abs(made - (255 - 248 * (1 - luma(COLOR) / 255 * (1 - away2) ** 2))).max() < 1


@pytest.mark.parametrize(
    ("mark", "most"),
    [
        (Marks("streak", radius=80, reach_xy=(16 * 300, 16 * 100)), 2**30 // (613 * 213)),
        (Marks("glow", radius=16 * 4096), 1),
    ],
)
def test_marks_are_as_many_as_drawing_them_allows(mark, most):
    """A bitmap of 613×213 pixels, and one that is too large to be kept."""
    assert mark.most() == most
    at_most, more = (msgspec.structs.replace(mark, count=count) for count in (most, most + 1))
    assert Overlay(mode="mix", color=COLOR, strength=1, shape=at_most).fault(10**6) is None
    assert Overlay(mode="mix", color=COLOR, strength=1, shape=more).fault(10**6)


def test_a_region_covers_the_area_of_its_polygon():
    corners = np.array([(100, 50), (900, 200), (700, 900), (50, 600)])
    alpha = Region(tuple(map(tuple, corners.tolist())), soft=16).alpha((70, 70))
    x, y = corners.T / 16.0
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2.0
    assert alpha.sum() / ONE == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize(
    "step",
    [
        Overlay(mode="mix", color=COLOR, strength=-1, shape=SHAPES["glow"]),
        Overlay(mode="mix", color=(0, 0, 256), strength=1, shape=SHAPES["glow"]),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Surface((3, 4), (0,) * 12)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Surface((4, 4), (-1,) * 16)),
        Overlay(mode="gain", color=COLOR, strength=1, shape=Surface((4, 4), (0,) * 15)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Marks("disc", radius=0)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Marks("disc", radius=16 * 4096, count=99)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Marks("disc", radius=1, count=-1)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Region(((0, 0), (1, 1)), soft=1)),
        Overlay(mode="mix", color=COLOR, strength=1, shape=Region(((0, 0), (0, 0), (5, 5)), soft=1)),
    ],
    ids=str,
)
def test_what_no_backend_can_do_is_refused(step):
    assert step.fault(10**6)
