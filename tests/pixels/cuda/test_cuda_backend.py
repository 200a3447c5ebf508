"""The GPU pipeline on accelerators that are none: order, batches, overlap, memory that runs out, devices that fail."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from builders import photo
from cpu_accelerator import CpuAccelerator
from gpu_jobs import JOBS, OPTIONS, answers, job, same
from lazy_accelerator import LazyAccelerator

from augpipe.core.errors import DeviceError, Reject
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered
from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.cuda import backend as gpu_backend
from augpipe.pixels.cuda.backend import SLOTS, GpuBackend
from augpipe.pixels.cuda.batch_codec import DeviceFirst, HostCodec


def pipeline(accelerator: CpuAccelerator, budget: int = 1 << 30, codec: Any = None) -> GpuBackend:
    return GpuBackend(accelerator, codec or HostCodec(accelerator, OPTIONS), OPTIONS, budget)


@pytest.fixture(params=[CpuAccelerator, LazyAccelerator])
def accelerator(request) -> CpuAccelerator:
    """At once, and as late as a device may."""
    return request.param()


@pytest.mark.parametrize("budget", [1 << 30, 200_000, 1])
def test_the_files_are_those_of_the_cpu_whatever_the_batches(accelerator, budget):
    backend = pipeline(accelerator, budget)
    found = list(backend.render(JOBS))
    same(found, answers(JOBS))
    assert {r.fallback for r in found} == {""}
    backend.close()
    gc.collect()
    assert accelerator.damaged == []
    assert accelerator.held == 0


@pytest.mark.parametrize("eager", [(0,), (1,), (0, 1), (2,)])
def test_nothing_is_given_back_before_the_slowest_stream_is_done_with_it(eager):
    accelerator = LazyAccelerator(eager=eager)
    backend = pipeline(accelerator, 200_000)
    same(list(backend.render(JOBS)), answers(JOBS))
    backend.close()


def test_what_a_stage_does_not_wait_for_shows_on_a_lazy_device(monkeypatch):
    """That the check above can fail: without its wait, the second stage reads what was never written."""
    lazy = LazyAccelerator()
    backend = pipeline(lazy)
    monkeypatch.setattr(backend._streams[1], "wait", lambda event: None)
    found, wanted = list(backend.render(JOBS[:1])), answers(JOBS[:1])
    assert found[0].pictures != wanted[0].pictures


def test_batches_are_capped_by_bytes_and_by_outputs(monkeypatch):
    monkeypatch.setattr(gpu_backend, "MOST_OUTPUTS", 4)
    batches = list(gpu_backend._cut(gpu_backend._pieces([job(i, 6) for i in range(3)], True), 1 << 30))
    assert [[len(piece.job.steps) for piece in batch] for batch in batches] == [[4], [2, 2], [4], [4], [2]]
    assert [piece.ends for batch in batches for piece in batch].count(True) == 3
    monkeypatch.undo()
    size = 40 * 31 * 3
    copies = [PictureJob(JOBS[0].data, JOBS[0].header, ((),) * 2) for _ in range(6)]
    by_bytes = list(gpu_backend._cut(gpu_backend._pieces(copies, True), 2 * size))
    assert [len(batch) for batch in by_bytes] == [2, 2, 2]


def test_the_stages_work_at_the_same_time():
    """The first batch is not encoded before the second is decoded, which would wait for ever one after the other."""
    accelerator = CpuAccelerator()
    second = threading.Event()

    class Waiting(HostCodec):
        decoded = 0

        def decode(self, jobs, stream):
            self.decoded += 1
            if self.decoded == 2:
                second.set()
            return super().decode(jobs, stream)

        def encode(self, pictures, forms, stream):
            assert second.wait(timeout=300)
            return super().encode(pictures, forms, stream)

    same(list(pipeline(accelerator, 1, Waiting(accelerator, OPTIONS)).render(JOBS[:3])), answers(JOBS[:3]))


def test_all_batches_under_way_keep_to_the_budget():
    """The first is not encoded before the last that may be under way is decoded."""
    accelerator = CpuAccelerator()
    last = threading.Event()

    class Waiting(HostCodec):
        decoded = 0

        def decode(self, jobs, stream):
            found = super().decode(jobs, stream)
            self.decoded += 1
            if self.decoded == SLOTS:
                last.set()
            return found

        def encode(self, pictures, forms, stream):
            assert last.wait(timeout=300)
            most.append(accelerator.most)
            return super().encode(pictures, forms, stream)

    most: list[int] = []
    jobs, budget = [job(number, 4) for number in range(40)], 300_000
    same(list(pipeline(accelerator, budget, Waiting(accelerator, OPTIONS)).render(jobs)), answers(jobs))
    # Later on, threads that have not yet let go of a batch that is done come on top.
    assert budget / 3 < most[0] <= budget


def test_no_more_batches_are_begun_than_there_are_slots():
    accelerator = CpuAccelerator()
    taken = 0

    def jobs():
        nonlocal taken
        for one in (job(i, 1) for i in range(20)):
            taken += 1
            yield one

    backend = pipeline(accelerator, 1)
    rendered = backend.render(jobs())
    next(rendered)
    assert taken <= SLOTS + 1
    rendered.close()  # what is under way is waited for
    backend.close()  # a thread holds on to its last task for a moment longer than that takes
    gc.collect()
    assert accelerator.held == 0


# --- memory ----------------------------------------------------------------------------------------------------------


def test_where_memory_runs_out_batches_are_halved(accelerator):
    """The budget promises more than there is, as where another program takes memory meanwhile."""
    backend = pipeline(accelerator)
    list(backend.render(JOBS))
    accelerator.limit = accelerator.most // 3
    found = list(backend.render(JOBS))
    same(found, answers(JOBS))
    assert {r.fallback for r in found} == {""}
    assert accelerator.trimmed


def test_before_a_smaller_batch_is_tried_nothing_else_is_under_way_and_the_pool_gives_back():
    accelerator = CpuAccelerator()
    backend = pipeline(accelerator, 200_000)
    list(backend.render(JOBS))
    accelerator.limit = 15_000
    same(list(backend.render(JOBS)), answers(JOBS))
    assert set(accelerator.trimmed[2::3]) == {0}  # by the last of the three threads


def test_a_picture_that_is_too_much_alone_is_moved_by_the_cpu_and_told(accelerator):
    backend = pipeline(accelerator)
    accelerator.limit = 15_000  # the source and one output of the larger ones do not fit
    found = list(backend.render(JOBS))
    same(found, answers(JOBS))
    assert {r.fallback for r in found} == {"", "pixels"}
    accelerator.limit = 10
    found = list(backend.render(JOBS))
    same(found, answers(JOBS))
    assert [r.fallback for r in found].count("pixels") >= len(JOBS) - 1
    gc.collect()
    assert accelerator.held == 0


class Picky(HostCodec):
    """The codec of a device in whose files a letter says so; it takes no gray pictures and no PNG."""

    def decode(self, jobs, stream):
        made = HostCodec(self._accelerator, self._options).decode([PictureJob(d, h, ()) for d, h in jobs], self.streams)
        return [None if h.mode == "L" or h.format == "PNG" else m for m, (_, h) in zip(made, jobs, strict=True)]

    def encode(self, pictures, stream):
        made = super().encode(pictures, [OPTIONS.picture] * len(pictures), self.streams)
        return [None if p.channels == 1 else b"D" + data for p, data in zip(pictures, made, strict=True)]


def device_first(accelerator: CpuAccelerator) -> DeviceFirst:
    own = Picky(accelerator, OPTIONS)
    own.streams = accelerator.stream()  # type: ignore[attr-defined]
    return DeviceFirst(own, HostCodec(accelerator, OPTIONS))  # type: ignore[arg-type]


def test_what_the_codec_of_the_device_does_not_take_goes_to_the_cpus():
    accelerator = CpuAccelerator()
    jobs = [JOBS[0], JOBS[1], JOBS[5], JOBS[2]]
    found = list(pipeline(accelerator, codec=device_first(accelerator)).render(jobs))
    for one, wanted, of_device in zip(found, answers(jobs), [True, False, True, True], strict=True):
        assert list(one.pictures) == [b"D" * of_device + data for data in wanted.pictures]


@pytest.mark.parametrize("form", [PictureFormat("auto"), PictureFormat("webp"), PictureFormat("jpg", 90, "4:4:4")])
def test_each_output_is_in_the_form_of_its_source(form):
    """PNG and WebP are written by the host, whatever batch they are in; JPEG by the device where it can."""
    options = BackendOptions(form)
    accelerator = CpuAccelerator()
    jobs = [JOBS[5], JOBS[0], JOBS[5], JOBS[3], JOBS[1]]
    wanted = list(CpuBackend(options).render(jobs))
    for codec in (HostCodec(accelerator, options), device_first(accelerator)):
        found = list(GpuBackend(accelerator, codec, options, 1 << 30).render(jobs))
        for one, other in zip(found, wanted, strict=True):
            for made, expected in zip(one.pictures, other.pictures, strict=True):
                assert isinstance(made, bytes) == isinstance(expected, bytes)
                if isinstance(expected, bytes) and form.subsampling == "4:2:0":
                    assert made.removeprefix(b"D") == expected


def test_without_memory_for_the_kernels_the_codec_stays():
    accelerator = CpuAccelerator()
    backend = pipeline(accelerator, codec=device_first(accelerator))
    accelerator.limit = 12_000
    (found,) = backend.render([job(4, 1)])
    (wanted,) = answers([job(4, 1)])
    assert found == Rendered((b"D" + wanted.pictures[0],), "pixels")  # type: ignore[operator]


def test_without_memory_for_its_codec_a_picture_waits_for_retry():
    """The CPU's codec would write other bytes, by how much memory was free."""
    accelerator = CpuAccelerator()
    backend = pipeline(accelerator, codec=device_first(accelerator))
    accelerator.limit = 10
    (found,) = backend.render([job(4, 2)])
    assert [(p.code, p.transient) for p in found.pictures if isinstance(p, Reject)] == [("memory", True)] * 2


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_device_that_fails_is_one_error_and_no_hang(accelerator):
    backend = pipeline(accelerator, 1)

    def illegal(*work: object) -> None:
        raise RuntimeError("an illegal\nmemory access was encountered")

    accelerator.launch = illegal  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match=r"^C\+\+ build: RuntimeError: an illegal\\nmemory access was encountered"):
        list(backend.render(JOBS))
    backend.close()


def test_no_memory_on_the_host_is_a_reject_of_that_picture(monkeypatch):
    accelerator = CpuAccelerator()

    def without(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("augpipe.pixels.cuda.batch_codec.decode", without)
    (found,) = pipeline(accelerator).render([job(1, 2)])
    assert [(p.code, p.transient) for p in found.pictures if isinstance(p, Reject)] == [("memory", True)] * 2


def test_pictures_with_gaps_between_their_rows_are_downloaded_whole():
    from augpipe.pixels.cuda.batch_codec import downloaded
    from augpipe.pixels.cuda.device_api import DevicePicture

    accelerator = CpuAccelerator()
    stream = accelerator.stream()
    wide = photo((50, 20))
    memory = accelerator.upload(wide, stream)
    part = DevicePicture(memory.address + 3 * 4, (30, 20), 3, 150, memory)
    assert np.array_equal(downloaded(accelerator, part, stream), wide[:, 4:34, ::-1])
