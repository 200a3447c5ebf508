"""A batch as a whole: ragged, shared sources, rejects, memory, fusion, and whole random plans against the CPU."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from contents import noise_picture, rendered
from cpu_accelerator import CpuAccelerator
from devices import downloaded, rendered_on, uploaded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from step_cases import BORDERS, FILL, REGIONS

from augpipe.core import color
from augpipe.core import geometry as g
from augpipe.core.errors import Reject
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.pixels import cpu
from augpipe.pixels.cuda.device_api import DevicePicture
from augpipe.pixels.cuda.launch import OutputJob, _Parameters, bytes_needed, lowered, run_batch
from augpipe.pixels.steps import noise
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

TURNED = Warp(matrix=g.rounded(g.about((30.0, 20.0), g.rotation(17.0))), size_wh=(60, 40), fill=FILL)
BRIGHTER = Color(stages=(Matrix3x4(color.on_grid(color.brightness(1.3))), Curve("gamma", 0.8)))
SPREAD = Color(stages=(Contrast(1.6), Curve("gamma", 0.8), Contrast(0.7)))
NOISY = Noise(std=9.0, reads=((1234, 99, 7), (4_000_000, 3_000_000, 2)))
HOLES = Cutout(boxes_xyxy=((3, 4, 20, 30),), fill=(9, 8, 7))
BARRED = PadFill(region=REGIONS["turned"], fill=(1, 2, 3))
WIDE = Color(stages=(Matrix3x4((1e6, -1e6, 0.5, 7.0, *(0.0, 1.0, 0.0, 0.0), *(1e6, 0.0, -1e6, 0.0))),))


def equal(got, expected):
    return got.shape == expected.shape and bool((got == expected).all())


def test_a_ragged_batch_in_its_order(accelerator):
    """Gray and colour, sizes from one pixel to many tiles, chains of different lengths, one without steps."""
    chains = [
        (TURNED, BRIGHTER, NOISY),
        (Blur(sigma=1.2), TURNED),
        (),
        (JpegCompress(quality=60), HOLES),
        (BARRED,),
        (WIDE,),
        (TURNED, SPREAD, NOISY, SPREAD),
    ]
    sizes = [(1, 1), (37, 23), (300, 20), (5, 90), (130, 17), (64, 64), (2, 300)]
    cases = [
        (noise_picture(size_wh, 1 + 2 * (i % 2), seed=i), chains[i % len(chains)])
        for i, size_wh in enumerate(sizes * 6)
    ]
    for (picture, steps), got in zip(cases, rendered_on(accelerator, cases), strict=True):
        assert equal(got, rendered(picture, steps)), (picture.shape, steps)


def test_works_share_a_source_that_stays_as_it_is(accelerator):
    picture = noise_picture((61, 47), 3)
    source, stream = uploaded(accelerator, picture), accelerator.stream()
    chains = [(HOLES,), (NOISY, BARRED), (TURNED,), (JpegCompress(quality=20),), (Blur(sigma=2.0),), (SPREAD,), ()]
    outputs = run_batch(accelerator, [OutputJob(source, chain) for chain in chains], stream)
    for chain, output in zip(chains, outputs, strict=True):
        assert equal(downloaded(accelerator, output, stream), rendered(picture, chain))
    assert equal(downloaded(accelerator, source), picture)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "steps", [(TURNED,), (HOLES,), (Blur(sigma=1.0),), (JpegCompress(quality=50),), (WIDE,), (SPREAD,)], ids=str
)
def test_a_source_with_gaps_between_its_rows(accelerator, channels, steps):
    picture = noise_picture((61, 47), channels)
    source, stream = uploaded(accelerator, picture, gap=5), accelerator.stream()
    (output,) = run_batch(accelerator, [OutputJob(source, steps)], stream)
    assert equal(downloaded(accelerator, output, stream), rendered(picture, steps))


def test_outputs_outlive_everything_but_themselves(accelerator):
    picture = noise_picture((61, 47), 3)
    stream = accelerator.stream()
    outputs = run_batch(accelerator, [OutputJob(uploaded(accelerator, picture), (TURNED,)) for _ in range(3)], stream)
    kept = outputs[1]
    del outputs
    gc.collect()
    run_batch(accelerator, [OutputJob(uploaded(accelerator, 255 - picture), (TURNED,)) for _ in range(3)], stream)
    assert equal(downloaded(accelerator, kept, stream), rendered(picture, (TURNED,)))


def test_the_interface_for_array_libraries():
    picture = DevicePicture(4096, (7, 5), 3, 24, None).__cuda_array_interface__
    assert picture == {"shape": (5, 7, 3), "typestr": "|u1", "data": (4096, False), "strides": (24, 3, 1), "version": 3}
    assert DevicePicture(4096, (8, 5), 3, 24, None).__cuda_array_interface__["strides"] is None


# --- what cannot be done ---------------------------------------------------------------------------------------------


def test_rejects_are_those_of_the_cpu_and_lose_one_picture_alone(accelerator):
    long = np.zeros((1, 33_000), np.uint8)
    cases = [
        (noise_picture((20, 10), 3), (TURNED,)),
        (long, (TURNED,)),
        (noise_picture((20, 10), 3), (Warp(matrix=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), size_wh=(5, 5)),)),
        (noise_picture((20, 10), 3), (Noise(std=1e300, offset=0),)),
        (long, (Warp(matrix=g.mirror_x(33_000), size_wh=(33_000, 1)),)),
        (noise_picture((20, 10), 3), (Cutout(boxes_xyxy=((0, 0, 2, 2),), fill=(300, 0, 0)),)),
    ]
    got = rendered_on(accelerator, cases)
    assert [o.code if isinstance(o, Reject) else o.shape for o in got] == [
        (40, 60, 3), "too-large", "fault", "fault", (1, 33_000), "fault",
    ]  # fmt: skip
    with pytest.raises(Reject) as raised:
        cpu.apply(long, (TURNED,))
    assert (raised.value.stage, raised.value.code, raised.value.message) == (got[1].stage, got[1].code, got[1].message)
    assert equal(got[0], rendered(*cases[0]))


def test_a_batch_of_nothing(accelerator):
    assert run_batch(accelerator, [], accelerator.stream()) == ()


# --- the mean of sources ---------------------------------------------------------------------------------------------


def test_one_launch_sums_all_sources_that_need_it_and_none_where_no_contrast_is():
    accelerator = CpuAccelerator()
    sources = [uploaded(accelerator, noise_picture((30 + i, 20), 3)) for i in range(3)]
    spread = (Color(stages=(Contrast(1.6),)),)
    jobs = [OutputJob(s, steps) for s in sources for steps in (spread, (BRIGHTER,), spread)]
    run_batch(accelerator, jobs, accelerator.stream())
    assert accelerator.launched == ["sums", "copy"]
    accelerator.launched.clear()
    run_batch(accelerator, [OutputJob(s, (BRIGHTER,)) for s in sources], accelerator.stream())
    assert accelerator.launched == ["copy"]


# --- memory ----------------------------------------------------------------------------------------------------------

CHAINS = [
    (TURNED,),
    (TURNED, Blur(sigma=3.0), JpegCompress(quality=70), NOISY, TURNED),
    (Warp(matrix=g.scaling(0.2, 0.2), size_wh=(100, 80), reduce=(5, 5)), WIDE, BARRED, HOLES),
    (JpegCompress(quality=1),),
    (Blur(sigma=50.0),),
    (Color(stages=(Contrast(1.6),)),),
    (),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", CHAINS, ids=range(len(CHAINS)))
def test_bytes_needed_is_what_is_taken(channels, steps):
    accelerator = CpuAccelerator()
    sources = [uploaded(accelerator, noise_picture((501, 403), channels)) for _ in range(3)]
    before = accelerator.most = accelerator.held
    outputs = run_batch(accelerator, [OutputJob(s, steps) for s in sources], accelerator.stream())
    taken, said = accelerator.most - before, 3 * bytes_needed((501, 403), channels, steps)
    assert taken <= said <= 1.1 * taken + 3 * 2048
    held = sum(-(-o.size_wh[0] * o.size_wh[1] * channels // 256) * 256 for o in outputs) if steps else 0
    assert accelerator.held - before == held  # temporaries and parameters are given back


def test_no_memory_is_said_before_anything_has_run():
    picture = noise_picture((100, 100), 3)
    accelerator = CpuAccelerator(limit=picture.nbytes + 70_000)
    source = uploaded(accelerator, picture)
    work = OutputJob(source, (Blur(sigma=1.0),))
    for _ in range(2):
        with pytest.raises(MemoryError):
            run_batch(accelerator, [work], accelerator.stream())
        assert accelerator.launched == []
        assert accelerator.held == picture.nbytes
    accelerator.limit = picture.nbytes + bytes_needed((100, 100), 3, work.steps)
    (output,) = run_batch(accelerator, [work], accelerator.stream())
    assert equal(downloaded(accelerator, output), rendered(picture, work.steps))


# --- fusion ----------------------------------------------------------------------------------------------------------


def test_neighbouring_steps_are_one_pass():
    steps = (TURNED, BRIGHTER, BARRED, NOISY, HOLES)
    assert [p.kernel for p in lowered((50, 50), 3, steps)] == ["warp"]
    assert [p.kernel for p in lowered((50, 50), 3, steps[1:])] == ["copy"]
    blurred = (BRIGHTER, Blur(sigma=1.0), NOISY, JpegCompress(quality=5), HOLES)
    assert [p.kernel for p in lowered((50, 50), 3, blurred)] == [
        "copy", "blur_rows", "blur_columns", "jpeg_blocks", "jpeg_pixels",
    ]  # fmt: skip


def test_a_matrix_whose_sums_need_64_bits_is_a_pass_of_its_own():
    assert [p.kernel for p in lowered((50, 50), 3, (NOISY, WIDE, NOISY))] == ["copy", "matrix"]
    assert [p.kernel for p in lowered((50, 50), 1, (NOISY, WIDE, NOISY))] == ["copy"]


def test_what_can_run_together_is_one_launch():
    accelerator = CpuAccelerator()
    chains = [(TURNED, BRIGHTER, NOISY), (TURNED, Blur(sigma=1.0)), (Blur(sigma=2.0), TURNED)] * 20
    sources = [uploaded(accelerator, noise_picture((30 + i, 20), 3)) for i in range(len(chains))]
    run_batch(accelerator, [OutputJob(s, c) for s, c in zip(sources, chains, strict=True)], accelerator.stream())
    assert sorted(accelerator.launched) == ["blur_columns"] * 2 + ["blur_rows"] * 2 + ["warp"] * 2


# --- whole plans -----------------------------------------------------------------------------------------------------

levels = st.integers(0, 255)
fills = st.tuples(levels, levels, levels)
sides = st.integers(1, 70)


@st.composite
def warp_steps(draw):
    size_wh = (draw(sides), draw(sides))
    linear = g.then(
        g.then(g.rotation(draw(st.floats(-180, 180))), g.shearing(draw(st.floats(-30, 30)), 0.0)),
        g.scaling(draw(st.floats(0.2, 3.0)), draw(st.floats(-3.0, -0.2) | st.floats(0.2, 3.0))),
    )
    tilt = st.just(0.0) | st.floats(-0.02, 0.02)
    matrix = g.then(g.about((20.0, 20.0), linear), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, draw(tilt), draw(tilt), 1.0))
    whole = st.integers(-40, 40)
    exact = g.then(
        g.quarter_turns(draw(st.integers(0, 3)), size_wh), g.translation(float(draw(whole)), float(draw(whole)))
    )
    return Warp(
        matrix=draw(st.sampled_from([g.rounded(matrix), exact])),
        size_wh=size_wh,
        border=draw(st.sampled_from(BORDERS)),
        fill=draw(fills),
        reduce=(draw(st.integers(1, 4)), draw(st.integers(1, 4))),
    )


@st.composite
def color_steps(draw):
    jitter = color.merge(
        color.saturation_hue(draw(st.floats(0, 2)), draw(st.floats(-0.5, 0.5))), color.contrast(draw(st.floats(0, 4)))
    )
    curve, contrast = Curve("gamma", draw(st.floats(0.2, 5))), Contrast(draw(st.floats(0, 4)))
    stages = st.sampled_from([Matrix3x4(color.on_grid(jitter)), curve, contrast])
    return Color(stages=tuple(draw(st.lists(stages, max_size=3))))


in_bank = st.integers(0, noise.LENGTH - 1)
reads = st.tuples(in_bank, in_bank, in_bank)
edges = st.integers(-10, 80)
corners = st.tuples(st.floats(-20, 90), st.floats(-20, 90))
steps_of_all_kinds = st.one_of(
    warp_steps(),
    color_steps(),
    st.builds(Blur, sigma=st.floats(0.1, 6.0)),
    st.builds(Noise, std=st.floats(0, 60), offset=st.integers(0, 2**32)),
    st.builds(Noise, std=st.floats(0, 60), reads=st.tuples(reads, reads)),
    st.builds(Cutout, boxes_xyxy=st.lists(st.tuples(edges, edges, edges, edges), max_size=4).map(tuple), fill=fills),
    st.builds(PadFill, region=st.just(()) | st.tuples(corners, corners, corners), fill=fills),
    st.builds(JpegCompress, quality=st.integers(1, 100)),
)
plans = st.lists(steps_of_all_kinds, max_size=6).map(tuple)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(sides, sides, st.sampled_from([1, 3]), plans), min_size=1, max_size=4))
def test_random_plans_in_random_batches(accelerator, works):
    cases = [(noise_picture((w, h), channels), steps) for w, h, channels, steps in works]
    for (picture, steps), got in zip(cases, rendered_on(accelerator, cases), strict=True):
        assert equal(got, rendered(picture, steps))


def test_parameters_are_where_a_device_can_read_doubles():
    """A processor reads them anywhere, so nothing else here would notice."""
    parameters = _Parameters()
    places = [parameters.put(bytes(n)) for n in (3, 1, 8, 300, 5, 0, 2)]
    assert [place % 8 for place in places] == [0] * 7
    assert len(set(places[:5])) == 5
