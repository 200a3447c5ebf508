"""The fixed-point map: block means, label rasters by nearest neighbour, regions; pictures are in test_parity."""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture

from augpipe.core import geometry as g
from augpipe.pixels import resample as sampling
from augpipe.pixels.resample import block_means, copy_exact, region_mask, resample, resample_labels

VOID = 255
TURN = g.rounded(g.about((20.0, 15.0), g.then(g.rotation(23.0), g.scaling(1.3, 0.8))))
TILT = g.rounded(g.then(g.scaling(1 / 40, 1 / 30), g.square_to_quad([(4, 0), (38, 5), (40, 29), (-2, 25)])))
# Behind this horizon, the same arithmetic leads back into the picture.
HORIZON = g.rounded(g.inverse((0.501, -0.703, 10.07, 0.003, -0.501, 15.01, 0.0, -0.0251, 1.0)))


def blobs(size_wh, dtype=np.uint8):
    """A label raster of a few values in patches, the highest of them at the end of the type's range."""
    w, h = size_wh
    values = np.array([0, 1, 7, 200 if dtype == np.uint8 else 60_000], dtype)
    patches = np.random.default_rng(5).integers(0, 4, ((h + 4) // 5, (w + 4) // 5))
    return np.ascontiguousarray(np.kron(values[patches], np.ones((5, 5), dtype))[:h, :w])


# --- block means -----------------------------------------------------------------------------------------------------

BLOCKS = [(2, 2), (3, 2), (5, 5), (1, 2), (6, 1), (4, 4), (7, 2), (64, 64)]


def exact_means(picture, reduce):
    """(sums, count): integers, so that nothing is rounded."""
    kx, ky = reduce
    h, w = picture.shape[:2]
    filled = np.pad(picture.astype(int), ((0, -h % ky), (0, -w % kx)), mode="edge")
    return filled.reshape(filled.shape[0] // ky, ky, -1, kx).sum(axis=(1, 3)), kx * ky


@pytest.mark.parametrize("reduce", BLOCKS, ids=str)
def test_block_means_are_the_nearest_level(reduce):
    picture = noise_picture((37 * reduce[0] + 1, 41 * reduce[1] + 1), 1)
    sums, count = exact_means(picture, reduce)
    assert (2 * np.abs(block_means(picture, reduce).astype(int) * count - sums) <= count).all()


@pytest.mark.parametrize("reduce", BLOCKS, ids=str)
def test_block_means_halfway_between_two_levels_are_as_defined(reduce):
    picture = noise_picture((37 * reduce[0], 41 * reduce[1]), 1)
    sums, count = exact_means(picture, reduce)
    means = (sums + 2) >> 2 if reduce == (2, 2) else np.rint(sums.astype(np.float32) * np.float32(1 / count))
    assert (block_means(picture, reduce) == means).all()


def test_block_means_keep_channels_apart():
    picture = noise_picture((30, 20), 3)
    out = block_means(picture, (3, 2))
    assert out.shape == (10, 10, 3)
    for c in range(3):
        assert (out[:, :, c] == block_means(picture[:, :, c].copy(), (3, 2))).all()


# --- the map ---------------------------------------------------------------------------------------------------------

FAR = [g.scaling(1e-6, 1e-6), g.translation(3e9 + 0.5, -3e9), g.then(g.scaling(1e-4, 1e-4), g.translation(-7.5, 3.0))]
TIES = [g.translation(k / 64, -k / 64) for k in (1, 3, 31)] + [g.scaling(6.4, 6.4), g.scaling(0.5, 2.0)]


def turns(count):
    rng = np.random.default_rng(11)
    for _ in range(count):
        sides = rng.uniform(0.4, 2.5, 2)
        yield g.rounded(g.about((20.0, 15.0), g.then(g.rotation(rng.uniform(-180, 180)), g.scaling(*sides))))


@pytest.mark.skipif(not sampling._remap_makes_the_map(), reason="this OpenCV is given the map ready-made")
@pytest.mark.parametrize("border", ["constant", "replicate", "reflect", "wrap"])
@pytest.mark.parametrize("channels", [1, 3])
def test_opencv_4_makes_the_map_that_others_are_given(border, channels, monkeypatch):
    picture = noise_picture((40, 30), channels)
    matrices = [TURN, TILT, HORIZON, *FAR, *TIES, *turns(40)]

    def warped(ready_made):
        monkeypatch.setattr(sampling, "_remap_makes_the_map", lambda: not ready_made)
        return [resample(picture, matrix, (57, 71), border, (3, 5, 7)) for matrix in matrices]

    for ready_made, own in zip(warped(True), warped(False), strict=True):
        assert (ready_made == own).all()


# --- label rasters ---------------------------------------------------------------------------------------------------


def nearest(raster, matrix, size_wh):
    """The pixel that each source point lies in, in float64, and where that is beyond doubt: off the pixel edges."""
    h, w = raster.shape
    x, y = np.meshgrid(np.arange(size_wh[0]) + 0.5, np.arange(size_wh[1]) + 0.5)
    back = np.linalg.inv(np.reshape(matrix, (3, 3)))
    sx, sy, depth = (r[0] * x + r[1] * y + r[2] for r in back)
    front = depth > 0
    sx, sy = sx / np.where(front, depth, 1), sy / np.where(front, depth, 1)
    inside = front & (sx >= 0) & (sx < w) & (sy >= 0) & (sy < h)
    out = np.full(x.shape, VOID, raster.dtype)
    out[inside] = raster[np.floor(sy[inside]).astype(int), np.floor(sx[inside]).astype(int)]
    sure = (np.abs(sx - np.rint(sx)) > 1e-3) & (np.abs(sy - np.rint(sy)) > 1e-3)
    return out, sure | ~front


@pytest.mark.parametrize(
    "matrix", [TURN, TILT, HORIZON, g.translation(0.3, -2.4)], ids=["turn", "tilt", "horizon", "shift"]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_labels_are_taken_from_the_pixel_that_the_point_lies_in(matrix, dtype):
    raster = blobs((40, 30), dtype)
    out = resample_labels(raster, matrix, (0, 0, 50, 150), VOID)
    expected, sure = nearest(raster, matrix, (50, 150))
    assert out.dtype == dtype
    assert sure.mean() > 0.97
    assert (out == expected)[sure].all()


@pytest.mark.parametrize("matrix", [TURN, TILT, HORIZON], ids=["turn", "tilt", "horizon"])
def test_labels_have_no_new_values(matrix):
    out = resample_labels(blobs((40, 30)), matrix, (0, 0, 60, 60), VOID)
    assert set(np.unique(out)) <= {0, 1, 7, 200, VOID}


@pytest.mark.parametrize("matrix", [TURN, TILT, HORIZON], ids=["turn", "tilt", "horizon"])
def test_a_window_is_that_part_of_the_whole(matrix):
    raster = blobs((40, 30))
    whole = resample_labels(raster, matrix, (0, 0, 60, 150), VOID)
    part = resample_labels(raster, matrix, (13, 70, 55, 149), VOID)
    assert (part == whole[70:149, 13:55]).all()


def test_a_window_may_lie_off_the_canvas():
    out = resample_labels(blobs((40, 30)), g.translation(5.0, 5.0), (-3, -3, 6, 6), VOID)
    assert (out[8:, 8:] == blobs((40, 30))[:1, :1]).all()
    assert (out[:8] == VOID).all()


def test_a_part_of_the_source_does_as_well_as_the_whole():
    """Where a part of the raster is given, what lies outside it is void, and positions are those of the whole."""
    raster = blobs((40, 30))
    only = np.full_like(raster, VOID)
    only[8:22, 11:31] = raster[8:22, 11:31]
    part = np.ascontiguousarray(raster[8:22, 11:31])
    whole = resample_labels(only, TURN, (0, 0, 60, 60), VOID)
    assert (resample_labels(part, TURN, (0, 0, 60, 60), VOID, (11, 8)) == whole).all()


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_exact_moves_of_labels_are_those_of_the_picture(times):
    raster = blobs((40, 30))
    matrix = g.then(g.quarter_turns(times, (40, 30)), g.translation(-4.0, 3.0))
    as_picture = copy_exact(raster, matrix, (45, 50), "constant", (VOID, VOID, VOID))
    assert (resample_labels(raster, matrix, (0, 0, 45, 50), VOID) == as_picture).all()


# --- regions ---------------------------------------------------------------------------------------------------------


def test_region_mask_counts_pixel_centres():
    assert region_mask(((0.0, 0.0), (1.6, 0.0), (1.6, 1.0), (0.0, 1.0)), (0, 0, 4, 1)).tolist() == [
        [True, True, False, False]
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_region_mask_of_a_triangle_is_half_of_a_square(turn):
    inside = region_mask(((0.0, 0.0), (100.0, 0.0), (0.0, 100.0))[::turn], (0, 0, 100, 100))
    x, y = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    assert (inside == (x + y <= 100)).all()


def test_region_mask_of_nothing_and_of_a_window():
    triangle = ((3.0, 4.0), (50.0, 10.0), (20.0, 44.0))
    assert not region_mask((), (0, 0, 5, 5)).any()
    assert (region_mask(triangle, (10, 20, 30, 35)) == region_mask(triangle, (0, 0, 60, 60))[20:35, 10:30]).all()
