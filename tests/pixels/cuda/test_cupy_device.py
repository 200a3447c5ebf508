"""The CuPy accelerator: on a stand-in for cupy everywhere, and that the stand-in has cupy's own names."""

from __future__ import annotations

import gc
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor

import host_cupy
import numpy as np
import pytest
from builders import encoded, photo
from contents import noise_picture, rendered
from devices import downloaded, rendered_on, uploaded
from fake_cuda import fails

import augpipe.pixels
from augpipe.core import geometry as g
from augpipe.core.errors import DeviceError
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.cuda import nvimgcodec
from augpipe.pixels.cuda.backend import GpuBackend, on_cuda
from augpipe.pixels.cuda.batch_codec import DeviceFirst, HostCodec
from augpipe.pixels.cuda.launch import OutputJob, run_batch
from augpipe.pixels.cuda.nvimgcodec import _Foreign
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.warp import Warp

STEPS = (Warp(matrix=g.mirror_x(40.0), size_wh=(50, 20)), Blur(sigma=1.0), Noise(std=9.0, offset=3))


@pytest.fixture
def gpu(monkeypatch):
    return on_the_stand_in(monkeypatch)


def on_the_stand_in(monkeypatch):
    """The file that imports CuPy, on the stand-in; afterwards all is as before, in each of the three places."""
    monkeypatch.setitem(sys.modules, "cupy", host_cupy)
    monkeypatch.setitem(sys.modules, "augpipe.pixels.cuda.cupy_device", None)
    monkeypatch.setattr(augpipe.pixels.cuda, "cupy_device", None, raising=False)
    del sys.modules["augpipe.pixels.cuda.cupy_device"]
    return importlib.import_module("augpipe.pixels.cuda.cupy_device")


def test_pictures_through_it(gpu):
    cases = [(noise_picture((40, 30), channels), STEPS) for channels in (1, 3)]
    accelerator = gpu.CudaAccelerator(1)
    for case, got in zip(cases, rendered_on(accelerator, cases), strict=True):
        assert (got == rendered(*case)).all()
    assert accelerator.name == "host 1"


def test_what_is_uploaded_may_be_changed_at_once(gpu):
    accelerator = gpu.CudaAccelerator()
    stream = accelerator.stream()
    data = np.arange(100, dtype=np.uint8)
    memory = accelerator.upload(data, stream)
    data[:] = 0
    gc.collect()
    accelerator.upload(data, stream)  # page-locked memory that is still read must not be handed out for this
    assert accelerator.download(memory.address, 100, stream).tolist() == list(range(100))


def test_no_memory_is_a_memory_error(gpu):
    accelerator = gpu.CudaAccelerator(sharing=7_500)
    source, stream = uploaded(accelerator, noise_picture((40, 30), 3)), accelerator.stream()
    with pytest.raises(MemoryError):
        run_batch(accelerator, [OutputJob(source, (Warp(matrix=g.IDENTITY, size_wh=(500, 500)),))], stream)
    accelerator.trim()
    pools = (accelerator._pool, accelerator._pinned, host_cupy.get_default_memory_pool())
    assert all(pool.trimmed for pool in pools)
    (small,) = run_batch(accelerator, [OutputJob(source, (Warp(matrix=g.IDENTITY, size_wh=(50, 50)),))], stream)
    assert downloaded(accelerator, small, stream).shape == (50, 50, 3)
    assert accelerator.memory_limit() == 100_000


def test_processes_share_three_quarters_of_the_device(gpu):
    assert gpu.CudaAccelerator().memory_limit() == 750_000_000
    assert gpu.CudaAccelerator(sharing=3).memory_limit() == 250_000_000


def test_a_stream_waits_for_another(gpu):
    accelerator = gpu.CudaAccelerator()
    first, second = accelerator.stream(), accelerator.stream()
    memory = accelerator.upload(np.full(10, 7, np.uint8), first)
    second.wait(first.record())
    assert accelerator.download(memory.address, 10, second).tolist() == [7] * 10
    assert second.pointer != 0


def test_the_pipeline_on_another_device_than_the_first_starts_nothing_on_the_first(gpu):
    """A thread has device 0 until it chooses: what a stage makes there is of no use to streams of another device."""
    host_cupy.started.clear()
    options = BackendOptions()
    data = encoded(photo((40, 30)), "JPEG")
    jobs = [PictureJob(data, read_header(data), (STEPS, ()))] * 3

    def rendered() -> list[Rendered]:
        accelerator = gpu.CudaAccelerator(1)
        backend = GpuBackend(accelerator, HostCodec(accelerator, options), options, 1)
        try:
            return list(backend.render(jobs))
        finally:
            accelerator.memory_limit()
            backend.close()

    with ThreadPoolExecutor(1) as worker:  # not this thread, for which no device must be chosen
        found = worker.submit(rendered).result()
    assert found == list(CpuBackend(options).render(jobs))
    assert host_cupy.started == {1}


def test_a_backend_on_it_and_the_one_error_where_there_is_none(gpu, monkeypatch):
    data = encoded(photo((40, 30)), "JPEG")
    jobs = [PictureJob(data, read_header(data), (STEPS,))]
    backend = on_cuda(0, "cpu", BackendOptions(), sharing=2)
    assert list(backend.render(jobs)) == list(CpuBackend(BackendOptions()).render(jobs))
    backend.close()
    own = []
    monkeypatch.setattr(nvimgcodec, "DeviceCodec", lambda index, *_: own.append(index))
    backend = on_cuda(1, "nvimgcodec", BackendOptions())
    backend.close()
    assert own == [1]
    assert isinstance(backend._codec, DeviceFirst)
    for error in (host_cupy.OutOfMemoryError("no room\nleft"), RuntimeError("no room\nleft")):
        monkeypatch.setattr(host_cupy, "RawModule", fails(error))
        with pytest.raises(DeviceError, match=r"^cuda:0 does not work: \w+Error: no room\\nleft; augpipe doctor says"):
            on_cuda(0, "cpu", BackendOptions())


@pytest.mark.parametrize("part", ["_pinned", "kernel"])
def test_what_the_driver_has_no_memory_for_is_a_memory_error(gpu, monkeypatch, part):
    """CuPy has a MemoryError for its pool alone; the driver may load a kernel no sooner than it is launched."""

    def without(*_: object) -> None:
        raise host_cupy.CUDARuntimeError(2)

    accelerator = gpu.CudaAccelerator()
    source, stream = uploaded(accelerator, noise_picture((40, 30), 3)), accelerator.stream()
    if part == "kernel":
        accelerator._kernels = dict.fromkeys(accelerator._kernels, without)
    else:
        monkeypatch.setattr(host_cupy.PinnedMemoryPool, "malloc", without)
    with pytest.raises(MemoryError, match="out of memory"):
        run_batch(accelerator, [OutputJob(source, STEPS)], stream)


def test_no_other_test_gets_the_stand_in_for_a_device():
    with pytest.MonkeyPatch.context() as patched:
        assert on_the_stand_in(patched).cupy is host_cupy
    modules = [sys.modules.get("augpipe.pixels.cuda.cupy_device"), getattr(augpipe.pixels.cuda, "cupy_device", None)]
    assert sys.modules.get("cupy") is not host_cupy
    assert all(getattr(module, "cupy", None) is not host_cupy for module in modules)


def test_the_stand_in_has_the_names_of_cupy():
    cupy = pytest.importorskip("cupy", reason="needs cupy, which is not installed")
    for name in vars(host_cupy.cuda):
        assert hasattr(cupy.cuda, name), name
    for name in vars(host_cupy.runtime):
        assert hasattr(cupy.cuda.runtime, name), name
    for name in ("Device", "Event", "MemoryPool", "PinnedMemoryPool", "Stream"):
        for member in vars(getattr(host_cupy, name)):
            if not member.startswith("_"):
                assert hasattr(getattr(cupy.cuda, name), member), f"{name}.{member}"
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    no_memory = cupy.cuda.runtime.CUDARuntimeError(2)
    assert isinstance(no_memory, RuntimeError)
    assert (no_memory.status, str(no_memory)) == (2, str(host_cupy.CUDARuntimeError(2)))
    assert hasattr(cupy.RawModule, "get_function")
    assert hasattr(cupy.get_default_memory_pool(), "free_all_blocks")


def test_cupy_takes_the_stream_of_the_codec():
    cupy = pytest.importorskip("cupy", reason="needs cupy, which is not installed")
    assert cupy.cuda.Stream.from_external(_Foreign(4096)).ptr == 4096
