"""On a device itself, where there is one: the pipeline with its streams, its codec, and the end of its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import devices
import numpy as np
import pytest
from builders import encoded, exif, photo
from contents import noise_picture
from gpu_jobs import JOBS, OPTIONS, answers, job, same
from pictures import PICTURE

from augpipe.core.errors import UsageError
from augpipe.pixels.backend import PictureJob
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode
from augpipe.pixels.cuda import backend as gpu_backend
from augpipe.pixels.cuda.backend import GpuBackend, on_cuda
from augpipe.pixels.cuda.select import resolve

pytestmark = pytest.mark.gpu


def backend(codec: str, sharing: int = 1) -> GpuBackend:
    """On the last device, which is not the first where there are several."""
    devices.make("cuda")
    try:
        last = resolve("cuda:all", "cpu" if codec == "cpu" else "gpu").indexes[-1]
    except UsageError as error:
        pytest.skip(f"needs CUDA devices of one kind: {error}")
    return on_cuda(last, codec, OPTIONS, sharing)


def files(jobs: Sequence[PictureJob], codec: str) -> list[Any]:
    made = backend(codec)
    found = [rendered.pictures for rendered in made.render(jobs)]
    made.close()
    return found


@pytest.mark.parametrize("batches", ["one", "many"])
def test_with_the_cpus_codec_the_files_are_those_of_the_cpu(monkeypatch, batches):
    if batches == "many":
        monkeypatch.setattr(gpu_backend, "_MOST_BYTES", 100_000)
    made = backend("cpu")
    for _ in range(20):  # what streams do not wait for shows now and then
        found = list(made.render(JOBS))
        same(found, answers(JOBS))
        assert {rendered.fallback for rendered in found} == {""}
    made.close()


def test_without_memory_the_files_stay_the_same():
    made = backend("cpu", sharing=1_000_000)
    large = photo((900, 700))
    data = encoded(large, "JPEG")
    jobs = [PictureJob(data, read_header(data), job(1).steps), *JOBS]
    found = list(made.render(jobs))
    same(found, answers(jobs))
    assert "pixels" in {rendered.fallback for rendered in found}
    made.close()


def test_bytes_of_its_codec_depend_on_nothing_but_the_file(monkeypatch):
    jobs = [job(number, 2) for number in range(40)]
    first = files(jobs, "nvimgcodec")
    monkeypatch.setattr(gpu_backend, "_MOST_BYTES", 100_000)
    assert files(jobs, "nvimgcodec") == first
    assert [pictures[0] for pictures in files(jobs[::-1], "nvimgcodec")][::-1] == [pictures[0] for pictures in first]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_its_codec_gives_upright_pictures_close_to_libjpegs(orientation):
    smooth = cv2.GaussianBlur(noise_picture((97, 61), 3), (0, 0), 5)
    jobs = []
    for data in (encoded(PICTURE, "JPEG", exif=exif(orientation)), encoded(smooth, "JPEG", exif=exif(orientation))):
        jobs.append(PictureJob(data, read_header(data), ((),)))
    for (data,), source in zip(files(jobs, "nvimgcodec"), jobs, strict=True):
        wanted = decode(source.data, source.header).astype(int)
        found = decode(data, read_header(data)).astype(int)
        assert found.shape == wanted.shape
        (by_cpu,) = answers([source])[0].pictures
        loss = np.abs(decode(by_cpu, read_header(by_cpu)).astype(int) - wanted).mean()  # of writing it once more
        assert np.abs(found - wanted).mean() <= loss + 1
