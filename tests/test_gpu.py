"""The CuPy accelerator: on a stand-in for cupy everywhere, and that the stand-in has cupy's own names."""

from __future__ import annotations

import gc
import importlib
import sys

import host_cupy
import numpy as np
import pytest
from contents import noise_picture, rendered
from devices import downloaded, rendered_on, uploaded

from augpipe import geometry as g
from augpipe.pixels.batch import Work, run_batch
from augpipe.plan import Filter, Noise, Warp

STEPS = (Warp(matrix=g.mirror_x(40.0), size_wh=(50, 20)), Filter(sigma=1.0), Noise(std=9.0, offset=3))


@pytest.fixture
def gpu(monkeypatch):
    """augpipe.pixels.gpu on the stand-in; the real module comes back afterwards."""
    monkeypatch.setitem(sys.modules, "cupy", host_cupy)
    monkeypatch.delitem(sys.modules, "augpipe.pixels.gpu", raising=False)
    yield importlib.import_module("augpipe.pixels.gpu")
    monkeypatch.delitem(sys.modules, "augpipe.pixels.gpu", raising=False)


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
    assert accelerator.download(memory.address, 100, stream).tolist() == list(range(100))


def test_no_memory_is_a_memory_error(gpu):
    accelerator = gpu.CudaAccelerator(sharing=7_500)
    source, stream = uploaded(accelerator, noise_picture((40, 30), 3)), accelerator.stream()
    with pytest.raises(MemoryError):
        run_batch(accelerator, [Work(source, (Warp(matrix=g.IDENTITY, size_wh=(500, 500)),))], stream)
    accelerator.trim()
    (small,) = run_batch(accelerator, [Work(source, (Warp(matrix=g.IDENTITY, size_wh=(50, 50)),))], stream)
    assert downloaded(accelerator, small, stream).shape == (50, 50, 3)
    assert accelerator.memory().limit == 100_000


def test_processes_share_three_quarters_of_the_device(gpu):
    assert gpu.CudaAccelerator().memory().limit == 750_000_000
    assert gpu.CudaAccelerator(sharing=3).memory().limit == 250_000_000


def test_a_stream_waits_for_another(gpu):
    accelerator = gpu.CudaAccelerator()
    first, second = accelerator.stream(), accelerator.stream()
    memory = accelerator.upload(np.full(10, 7, np.uint8), first)
    second.wait(first.record())
    assert accelerator.download(memory.address, 10, second).tolist() == [7] * 10
    assert second.pointer != 0


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
    assert hasattr(cupy.RawModule, "get_function")
