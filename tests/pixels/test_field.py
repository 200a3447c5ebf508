"""The step kind Field: reference, CPU and the kernels' C++ build are one; its numbers are plain arithmetic."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from step_checks import check_step

from augpipe.core import geometry as g
from augpipe.core.mesh import Mesh
from augpipe.pixels import cpu
from augpipe.pixels.steps.field import Field

SIZES = [(1, 1), (2, 7), (33, 20), (64, 48), (97, 65)]


def mesh_of(size_wh, grid_wh=(7, 7), amplitude=None, seed=0):
    """A random mesh that does not fold, with controls of at most a part of the shorter side."""
    rng = np.random.default_rng(seed)
    most = int(64 * (0.04 * min(size_wh) if amplitude is None else amplitude))
    return Mesh(size_wh, grid_wh, tuple(rng.integers(-most, most + 1, 2 * grid_wh[0] * grid_wh[1]).tolist()))


def field_of(mesh, size_wh=None, **more):
    return Field(
        mesh_wh=mesh.size_wh, grid_wh=mesh.grid_wh, control=mesh.control, size_wh=size_wh or mesh.size_wh, **more
    )


def pictures(size_wh, seed=1):
    rng = np.random.default_rng(seed)
    w, h = size_wh
    return [rng.integers(0, 256, shape, np.uint8) for shape in ((h, w), (h, w, 3))]


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("border", ["constant", "replicate", "reflect", "wrap"])
def test_one_answer_on_its_own_canvas(size_wh, border):
    check_step(field_of(mesh_of(size_wh), border=border, fill=(9, 80, 200)), pictures(size_wh))


TURN = g.rounded(g.about((30.0, 25.0), g.rotation(25.0)))
HALF = g.rounded(g.then(g.scaling(0.4, 0.3), g.translation(-3.0, 5.0)))


@pytest.mark.parametrize("before", [g.IDENTITY, TURN, HALF, g.mirror_x(60.0)])
@pytest.mark.parametrize("after", [g.IDENTITY, TURN, HALF, g.translation(5.0, -40.0)])
@pytest.mark.parametrize("reduce", [(1, 1), (2, 4)])
def test_one_answer_with_moves_before_and_behind(before, after, reduce):
    step = field_of(mesh_of((50, 41), (4, 9)), (61, 37), before=before, after=after, reduce=reduce, border="reflect")
    check_step(step, pictures((70, 53)))


def test_a_large_canvas_has_wider_cells_and_one_answer():
    mesh = mesh_of((700, 70), (16, 5), 2.0)
    assert mesh.spacing == 4
    check_step(field_of(mesh), pictures((700, 70)))
    assert [Mesh((w, 10), (4, 4), (0,) * 32).spacing for w in (504, 505, 4033, 32_766)] == [3, 4, 7, 10]


def test_a_mesh_that_moves_nothing_changes_nothing():
    for picture in pictures((40, 30)):
        assert (cpu.apply(picture, [field_of(Mesh((40, 30), (4, 4), (0,) * 32))]) == picture).all()


def test_a_mesh_of_equal_displacements_moves_by_whole_pixels():
    mesh = Mesh((40, 30), (5, 4), (3 * 64, -2 * 64) * 20)
    (gray, _) = pictures((40, 30))
    moved = cpu.apply(gray, [field_of(mesh)])
    assert (moved[2:, :-3] == gray[:-2, 3:]).all()
    assert (moved[:2] == 0).all()


def test_the_whole_picture_at_once_is_the_same_as_by_bands(monkeypatch):
    from augpipe.pixels import bend

    step, (gray, color) = field_of(mesh_of((97, 65))), pictures((97, 65))
    before = [cpu.apply(p, [step]) for p in (gray, color)]
    monkeypatch.setattr(bend, "_BAND_PIXELS", 500)
    assert all((cpu.apply(p, [step]) == was).all() for p, was in zip((gray, color), before, strict=True))


GOOD = field_of(mesh_of((40, 30)))


@pytest.mark.parametrize(
    "bad",
    [
        {"mesh_wh": (0, 30)},
        {"grid_wh": (3, 7)},
        {"grid_wh": (17, 7)},
        {"control": (0,) * 97},
        {"control": (1 << 17,) * 98},
        {"control": tuple(np.random.default_rng(0).integers(-2000, 2000, 98).tolist())},
        {"size_wh": (0, 5)},
        {"size_wh": (40_000, 5)},
        {"before": (0.5,) * 9},
        {"before": (1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"after": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.001, 0.0, 1.0)},
        {"after": (float("nan"), 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"after": (1000.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"after": (1.0, 0.0, 1e9, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"before": (1.0 / 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"reduce": (3, 1)},
        {"reduce": (128, 1)},
        {"fill": (0, 0, 256)},
    ],
)
def test_what_no_step_of_a_record_may_be(bad):
    assert GOOD.fault(10**6) is None
    assert msgspec.structs.replace(GOOD, **bad).fault(10**6)


# --- the mesh --------------------------------------------------------------------------------------------------------


def smooth(mesh, points_xy):
    """d by the B-spline's textbook sum in float64, without nodes."""

    def basis(t):
        t = np.abs(t)
        return np.where(t < 1, (4 - 6 * t**2 + 3 * t**3) / 6, np.clip(2 - t, 0, None) ** 3 / 6)

    (w, h), (across, down) = mesh.size_wh, mesh.grid_wh
    control = np.reshape(mesh.control, (down, across, 2)) / 64.0
    x = basis(points_xy[:, :1] / w * (across - 3) - (np.arange(across) - 1))
    y = basis(points_xy[:, 1:] / h * (down - 3) - (np.arange(down) - 1))
    return np.einsum("nj,ni,jik->nk", y, x, control)


def test_the_mesh_is_the_spline_of_its_control_points():
    mesh = mesh_of((640, 480), amplitude=20.0)
    points = np.random.default_rng(3).uniform(0, (640, 480), (500, 2))
    off = np.abs(mesh.back(points) - points - smooth(mesh, points))
    second = max(np.abs(np.diff(mesh.nodes, 2, axis)).max() for axis in (0, 1)) / 1024.0
    assert off.max() <= second / 4.0 + 0.002  # linear between nodes: an eighth of the second difference for each axis


@pytest.mark.parametrize("amplitude", [5.0, 25.0, 40.0])
def test_points_go_forward_to_where_they_are_shown(amplitude):
    mesh = mesh_of((640, 480), amplitude=amplitude, seed=4)
    assert mesh.fault() is None
    points = np.random.default_rng(5).uniform(-60, (700, 540), (3000, 2))
    np.testing.assert_allclose(mesh.back(mesh.forward(points)), points, atol=1e-6)


def test_a_mesh_that_nearly_folds_has_an_answer_for_every_point():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        control = rng.integers(-3000, 3001, 98)
        at = [Mesh((200, 150), (7, 7), tuple((control * k // 64).tolist())) for k in range(64, 0, -1)]
        mesh = next(m for m in at if m.is_one_to_one)  # the strongest that does not fold
        points = rng.uniform(-20, (220, 170), (400, 2))
        np.testing.assert_allclose(mesh.back(mesh.forward(points)), points, atol=1e-6)


def test_a_folded_mesh_is_found():
    def wide(slope):
        return Mesh((90, 90), (4, 4), tuple(np.stack([np.tile([-slope, 0, slope, 2 * slope], 4), np.zeros(16)], 1)
                                           .astype(int).ravel().tolist()))  # fmt: skip

    assert wide(-64 * 60).is_one_to_one  # a third of the width is left: 90 pixels show 30
    assert not wide(-64 * 75).is_one_to_one
    assert wide(64 * 200).is_one_to_one
