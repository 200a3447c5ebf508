"""The device's codec where it runs without a device: libjpeg-turbo inside, so pixels and bytes are the CPU codec's."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from builders import SHARED, encoded, exif, needs, photo
from cpu_accelerator import CpuAccelerator, compiler
from pictures import GRAY, PHOTO, PICTURE, WRITTEN

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.core.plan import Step
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.codec import image as codec
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat, turned_upright
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.cuda import nvimgcodec
from augpipe.pixels.cuda.backend import GpuBackend
from augpipe.pixels.cuda.batch_codec import DeviceFirst, HostCodec
from augpipe.pixels.cuda.device_api import DevicePicture
from augpipe.pixels.cuda.nvimgcodec import DeviceCodec, upright_view
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.noise import Noise

try:
    old = nvimgcodec.load().__version__.startswith("0.8")
    MISSING = "nvImageCodec works without a device from 0.9 on" if old else ""
except ImportError as error:
    MISSING = str(error)

here = pytest.mark.skipif(bool(MISSING), reason=MISSING or "it is there")


@pytest.fixture(scope="module")
def host():
    made = DeviceCodec(None, PictureFormat(), threads=2)
    yield made
    made.close()


def job(data: bytes) -> tuple[bytes, Header]:
    return data, read_header(data)


def pixels(image: DevicePicture) -> np.ndarray:
    """As the CPU's codec gives them, read from the address that the picture says."""
    width, height = image.size_wh
    interface = {
        "shape": (height, width, image.channels),
        "typestr": "|u1",
        "data": (image.address, True),
        "strides": (image.pitch, image.channels, 1),
        "version": 3,
    }
    array = np.asarray(SimpleNamespace(__array_interface__=interface)).copy()
    return array[:, :, 0] if image.channels == 1 else array[:, :, ::-1]


def described(array: np.ndarray) -> DevicePicture:
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    return DevicePicture(array.ctypes.data, (width, height), channels, array.strides[0], array)


# --- without nvImageCodec --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_cpu_turns_it(orientation):
    stored = PHOTO[:, ::-1]
    header = Header("JPEG", (PHOTO.shape[1], PHOTO.shape[0]), orientation, "RGB")
    assert np.array_equal(upright_view(stored, orientation), turned_upright(np.ascontiguousarray(stored), header))
    assert np.shares_memory(upright_view(stored, orientation), stored)


def without(monkeypatch, module: object) -> str:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", module)
    with pytest.raises(ImportError) as caught:
        nvimgcodec.load()
    return str(caught.value)


def test_what_is_missing_is_said(monkeypatch):
    assert "nvImageCodec" in without(monkeypatch, None)
    assert without(monkeypatch, SimpleNamespace(__version__="0.10.1")) == "nvImageCodec is 0.10.1; expected 0.8 or 0.9"
    assert without(monkeypatch, SimpleNamespace(__version__="1.0")) == "nvImageCodec is 1.0; expected 0.8 or 0.9"
    assert "does not load" in without(monkeypatch, SimpleNamespace())
    for version in ("0.8.0.22", "0.9.0.20"):
        module = SimpleNamespace(__version__=version)
        monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", module)
        assert nvimgcodec.load() is module


def test_memory_that_is_short_is_a_memory_error_and_nothing_else_is():
    with pytest.raises(MemoryError), nvimgcodec._memory_errors():
        raise RuntimeError("nvImageCodec failure: '#6' Allocator failure")
    with pytest.raises(MemoryError), nvimgcodec._memory_errors():
        raise RuntimeError("CUDA Runtime failure: '#2' out of memory")
    with pytest.raises(RuntimeError, match="illegal address"), nvimgcodec._memory_errors():
        raise RuntimeError("CUDA Runtime failure: '#700' illegal address")
    with pytest.raises(RuntimeError, match="illegal memory access"), nvimgcodec._memory_errors():
        raise RuntimeError("CUDA Runtime failure: '#700' an illegal memory access was encountered")


def test_a_device_is_asked_for_by_number_and_its_jpeg_engine_left_out(monkeypatch):
    """Pictures of the engine differ from those of the cores; which takes one would be a matter of load."""
    module = MagicMock()
    module.Backend = lambda kind: kind
    monkeypatch.setattr(nvimgcodec, "load", lambda: module)
    monkeypatch.setattr(nvimgcodec, "_Device", lambda index: SimpleNamespace(index=index))
    DeviceCodec(3, PictureFormat(), threads=2).close()
    for maker in (module.Decoder, module.Encoder):
        how = maker.call_args.kwargs
        assert (how["device_id"], how["max_num_cpu_threads"]) == (3, 2)
        assert how["backends"] == [module.HYBRID_CPU_GPU, module.GPU_ONLY]
    assert module.Decoder.call_args.kwargs["options"] == ":fancy_upsampling=1"


@here
def test_all_is_asked_for_on_the_stream_that_is_given(host, monkeypatch):
    streams = []

    def on_the_first(function):
        def asked(*what, cuda_stream, **how):
            streams.append(cuda_stream)
            return function(*what, cuda_stream=0, **how)

        return asked

    monkeypatch.setattr(host, "_decoder", SimpleNamespace(decode=on_the_first(host._decoder.decode)))
    monkeypatch.setattr(host, "_encoder", SimpleNamespace(encode=on_the_first(host._encoder.encode)))
    wrap = on_the_first(host._codec.as_image)
    monkeypatch.setattr(host._codec, "as_image", lambda source, stream: wrap(source, cuda_stream=stream))
    files = DeviceFirst(host, HostCodec(CpuAccelerator(), BackendOptions()))
    stream = SimpleNamespace(pointer=4096)
    pictures = files.decode([PictureJob(*job(WRITTEN["jpeg"]), ())], stream)
    assert files.encode(pictures, [PictureFormat()] * len(pictures), stream) == [
        codec.encode(codec.decode(*job(WRITTEN["jpeg"])), PictureFormat())
    ]
    assert streams == [4096] * 3


# --- decoding --------------------------------------------------------------------------------------------------------


@here
def test_plain_jpegs_are_decoded_to_the_bit(host):
    files = [encoded(photo((w, h)), "JPEG", subsampling=s, quality=q)
             for w, h in ((1, 1), (16, 16), (17, 33), (640, 480)) for s in ("4:4:4", "4:2:2", "4:2:0") for q in (50, 95)
            ]  # fmt: skip
    files += [encoded(GRAY, "JPEG"), encoded(PHOTO, "JPEG", restart_marker_blocks=2)]
    jobs = list(map(job, files))
    for image, (data, header) in zip(host.decode(jobs), jobs, strict=True):
        assert image is not None
        assert image.size_wh == header.upright_wh
        assert np.array_equal(pixels(image), codec.decode(data, header))


@here
def test_more_than_are_looked_at_together_come_back_in_order(host, monkeypatch):
    monkeypatch.setattr(nvimgcodec, "_AT_ONCE", 3)
    names = ["jpeg", "jpeg gray", "png", "jpeg", "jpeg gray", "progressive", "jpeg gray", "jpeg"] * 2
    jobs = [job(WRITTEN[name]) for name in names]
    for name, image, (data, header) in zip(names, host.decode(jobs), jobs, strict=True):
        assert (image is None) == (name in ("png", "progressive"))
        if image is not None:
            assert np.array_equal(pixels(image), codec.decode(data, header))
    assert host.decode([]) == []


@here
def test_gray_stays_gray_and_order_stays(host):
    names = ["jpeg", "png", "jpeg gray", "progressive", "jpeg", "jpeg cmyk", "jpeg gray", "webp"]
    found = host.decode([job(WRITTEN[name]) for name in names])
    assert [None if image is None else image.channels for image in found] == [3, None, 1, None, 3, None, 1, None]


@here
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_exif_is_applied_as_the_header_says_it(host, orientation, mode):
    data, header = job(encoded(PICTURE.convert(mode), "JPEG", exif=exif(orientation)))
    assert header.orientation == orientation
    (image,) = host.decode([(data, header)])
    assert image is not None
    assert np.array_equal(pixels(image), codec.decode(data, header))
    # The file still says so; the header alone counts.
    stored = Header(header.format, header.stored_wh, 1, header.mode)
    (image,) = host.decode([(data, stored)])
    assert image is not None
    assert np.array_equal(pixels(image), codec.decode(data, stored))


@here
def test_a_damaged_picture_is_left_to_the_cpu_and_a_whole_one_beside_it_is_not(host, capfd):
    data = encoded(photo((200, 150)), "JPEG")
    cut = data[: len(data) // 2].rstrip(b"\xff") + b"\xff\xd9"
    header = read_header(data)
    found = host.decode([(data, header), (cut, header), (data[:-1], header), (data, header), (b"", header)])
    assert [image is not None for image in found] == [True, False, False, True, False]
    assert capfd.readouterr() == ("", "")


@here
def test_a_picture_that_is_not_returned_is_asked_for_once_more_alone(host, monkeypatch):
    asked = []

    class Flaky:
        def decode(self, streams, **how):
            asked.append(len(streams))
            images = real.decode(streams, **how)
            return [None if len(asked) == 1 and i == 1 else image for i, image in enumerate(images)]

    real = host._decoder
    monkeypatch.setattr(host, "_decoder", Flaky())
    found = host.decode([job(WRITTEN["jpeg"])] * 3)
    assert asked == [3, 1]
    assert all(image is not None for image in found)


@here
def test_a_picture_that_is_not_returned_for_want_of_memory_is_not_one_for_the_cpu(host, monkeypatch):
    """Else its bytes would depend on what else the device holds."""
    monkeypatch.setattr(host, "_decoder", SimpleNamespace(decode=lambda streams, **how: [None] * len(streams)))
    assert host.decode([job(WRITTEN["jpeg"])]) == [None]
    monkeypatch.setattr(host._arrays, "free", lambda: 1 << 20)
    with pytest.raises(MemoryError, match="37×23"):
        host.decode([job(WRITTEN["jpeg"])])
    assert host.decode([job(WRITTEN["png"])]) == [None]
    monkeypatch.setattr(host, "_encoder", SimpleNamespace(encode=lambda wrapped, *a, **how: [None] * len(wrapped)))
    with pytest.raises(MemoryError, match="37×23"):
        host.encode([described(PHOTO)])
    monkeypatch.setattr(host._arrays, "free", lambda: 1 << 40)
    assert host.encode([described(PHOTO)]) == [None]


@here
def test_a_picture_of_another_size_than_the_header_says_is_none(host, monkeypatch):
    """Whatever the decoder does, no picture of another shape gets further."""
    wrong = SimpleNamespace(shape=(23, 36, 3), dtype=np.uint8)
    monkeypatch.setattr(host, "_decoder", SimpleNamespace(decode=lambda streams, **how: [wrong] * len(streams)))
    assert host.decode([job(WRITTEN["jpeg"])]) == [None]


@here
@needs("odd_images")
def test_odd_pictures_are_none_or_those_of_the_cpu(host, capfd):
    counted: Counter[str] = Counter()
    for path in sorted((SHARED / "odd_images").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        try:
            header = read_header(data)
        except Reject:
            continue
        (image,) = host.decode([(data, header)])
        counted["none" if image is None else "decoded"] += 1
        if image is not None:
            assert np.array_equal(pixels(image), codec.decode(data, header)), path
    assert counted["decoded"] >= 40
    assert counted["none"] >= 200
    assert capfd.readouterr() == ("", "")


# --- encoding --------------------------------------------------------------------------------------------------------


@here
@pytest.mark.parametrize("quality", [1, 50, 90, 100])
def test_jpegs_are_encoded_to_the_byte(quality):
    made = DeviceCodec(None, PictureFormat(quality=quality), threads=1)
    sizes = [(1, 1), (16, 17), (37, 23), (640, 480)]
    color = [photo(size) for size in sizes]
    gray = [np.ascontiguousarray(array[:, :, 1]) for array in color]
    arrays = [array for pair in zip(color, gray, strict=True) for array in pair]
    for array, data in zip(arrays, made.encode(list(map(described, arrays))), strict=True):
        bgr = array if array.ndim == 2 else np.ascontiguousarray(array[:, :, ::-1])
        assert data == codec.encode(bgr, PictureFormat(quality=quality))
    made.close()


@here
def test_rows_may_be_longer_than_the_picture(host):
    wide = photo((64, 48))
    part = wide[3:40, :50]
    (data,) = host.encode([described(part)])
    assert data == codec.encode(np.ascontiguousarray(part[:, :, ::-1]), PictureFormat())


@here
def test_what_was_decoded_can_be_encoded(host):
    jobs = [job(WRITTEN["jpeg"]), job(WRITTEN["jpeg gray"])]
    for data, (source, header) in zip(host.encode(host.decode(jobs)), jobs, strict=True):
        assert data == codec.encode(codec.decode(source, header), PictureFormat())


@here
def test_what_it_cannot_write_is_left_to_the_cpu(host, capfd):
    long = np.zeros((2, 65501, 3), np.uint8)
    assert host.encode([described(long), described(PHOTO)])[0] is None
    assert host.encode([]) == []
    png = DeviceCodec(None, PictureFormat("png", 90, "none"), threads=1)
    assert png.encode([described(PHOTO)]) == [None]
    assert png.decode([job(WRITTEN["jpeg"])])[0] is not None
    png.close()
    assert capfd.readouterr() == ("", "")


@here
def test_loading_it_says_nothing():
    """It would name every other codec of its maker that is not installed."""
    code = "from augpipe.pixels.cuda.nvimgcodec import *; DeviceCodec(None, PictureFormat(), 2).close()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


# --- in the pipeline -------------------------------------------------------------------------------------------------


@here
@pytest.mark.skipif(compiler() is None, reason="no C++ compiler to build the kernels with")
def test_a_pipeline_with_this_codec_gives_the_files_of_the_cpu(host):
    """Plain, damaged, gray, turned and other pictures in one stream, through decoder, kernels and encoder."""
    accelerator, options = CpuAccelerator(), BackendOptions()
    turned = encoded(PICTURE, "JPEG", exif=exif(6))
    files = [turned, *(WRITTEN[name] for name in ("jpeg", "png", "jpeg gray", "progressive")), encoded(photo((90, 70)))]
    files.append(files[-1][:900] + b"\xff\xd9")
    steps: tuple[Step, ...] = (Blur(sigma=0.8), Noise(std=5.0, offset=7))
    jobs = [PictureJob(data, read_header(data), (steps, ())) for data in files]
    backend = GpuBackend(accelerator, DeviceFirst(host, HostCodec(accelerator, options)), options, 1 << 28)
    found, wanted = list(backend.render(jobs)), list(CpuBackend(options).render(jobs))
    backend.close()
    for one, other in zip(found[:-1], wanted[:-1], strict=True):
        assert one.pictures == other.pictures
    assert [reject.code for reject in found[-1].pictures] == ["truncated"] * 2
    assert accelerator.damaged == []
