"""JPEGs decoded and encoded on the device by nvImageCodec; everything else is left to the CPU's codec.

**The same bytes.** By default nvImageCodec distributes a batch over the JPEG engine of the device, its cores and the
CPU by their load, and their pictures differ in the last bit. Only the decoder on the cores is enabled here. A picture
that it does not return is tried once more alone, and is ``None`` then. Which files it gets depends on the file alone
(:mod:`augpipe.pixels.codec.baseline_jpeg`).

**Upright.** The decoder does not turn pictures, as it may read EXIF differently. They are turned here, as copies.

Without a device (``device_id`` ``None``) the same code runs on the host, where nvImageCodec uses libjpeg-turbo and,
from version 0.9 on, gives the pixels and bytes of the CPU's codec. Only tests do so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from augpipe.core.annotations import Header
from augpipe.pixels.codec import captured_stderr
from augpipe.pixels.codec.baseline_jpeg import is_plain, whole
from augpipe.pixels.codec.image import PictureFormat, is_gray
from augpipe.pixels.cuda.device_api import DevicePicture, import_cupy

_QUIET = ("PYNVIMGCODEC_VERBOSITY", "0")  # it reports on stderr what it returns as None anyway
_NO_DEVICE = -99_999  # NVIMGCODEC_DEVICE_CPU_ONLY, for which Python has a name from 0.9 on
_AT_ONCE = 64  # files that are checked together; enough work for the device
_SCARCE = 64 << 20  # bytes free on the device below which a failure counts as one of memory
_LONGEST_SIDE = 65_500  # of a JPEG that libjpeg writes


def load() -> Any:
    """The module ``nvidia.nvimgcodec``.

    Raises:
        ImportError: it is not installed, does not load, or is of a version with another interface; in one line.
    """
    os.environ.setdefault(*_QUIET)
    try:
        with captured_stderr.together():  # it lists the vendor's other codecs that are not installed
            module = import_module("nvidia.nvimgcodec")
            version = str(module.__version__)
    except ModuleNotFoundError as error:
        raise ImportError("nvImageCodec is not installed") from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise ImportError(f"nvImageCodec does not load: {error}") from error
    if tuple(version.split(".")[:2]) not in (("0", "8"), ("0", "9")):
        raise ImportError(f"nvImageCodec is {version}; expected 0.8 or 0.9")
    return module


class DeviceCodec:
    """Decoder and encoder of one device.

    Args:
        device_id: number of the CUDA device; ``None`` works on the host.
        picture: how pictures are encoded; where none is to be a JPEG, :meth:`encode` returns ``None`` for each.
        threads: of the CPU, which check files and prepare them for the device.

    Raises:
        ImportError: nvImageCodec, or CuPy with a device, cannot be loaded.
    """

    def __init__(self, device_id: int | None, picture: PictureFormat, threads: int) -> None:
        self._codec = codec = load()
        self._on_device = device_id is not None
        self._arrays = _Host() if device_id is None else _Device(device_id)
        self._cores = ThreadPoolExecutor(threads, "augpipe-jpeg")
        self._checking = ThreadPoolExecutor(1, "augpipe-checking")
        kinds = (codec.CPU_ONLY,) if device_id is None else (codec.HYBRID_CPU_GPU, codec.GPU_ONLY)
        where = {
            "device_id": _NO_DEVICE if device_id is None else device_id,
            "max_num_cpu_threads": threads,
            "backends": [codec.Backend(kind) for kind in kinds],
        }
        with captured_stderr.together():
            self._decoder = codec.Decoder(**where, options=":fancy_upsampling=1")
            self._encoder = codec.Encoder(**where)
        self._decoding = {
            channels: codec.DecodeParams(apply_exif_orientation=False, color_spec=colors)
            for channels, colors in ((1, codec.ColorSpec.GRAY), (3, codec.ColorSpec.SRGB))
        }
        colors = codec.ChromaSubsampling.CSS_444 if picture.subsampling == "4:4:4" else codec.ChromaSubsampling.CSS_420
        sampling = {1: codec.ChromaSubsampling.CSS_GRAY, 3: colors}
        self._encoding = {
            channels: codec.EncodeParams(
                quality_type=codec.QualityType.QUALITY,
                quality_value=picture.quality,
                chroma_subsampling=how,
                jpeg_encode_params=codec.JpegEncodeParams(progressive=False, optimized_huffman=False),
            )
            for channels, how in sampling.items()
        }
        self._encodes = picture.format in ("jpg", "auto")

    def decode(self, jobs: Sequence[tuple[bytes, Header]], stream: int = 0) -> list[DevicePicture | None]:
        """Upright pictures, in order; ``None`` where the CPU's codec is to decode one, or to reject it.

        Args:
            jobs: files, and what :func:`~augpipe.pixels.codec.header.read_header` says of each.
            stream: the CUDA stream, as a number, in which the pictures are ready.

        Raises:
            MemoryError: not enough on the device for so many.
        """
        out: list[DevicePicture | None] = [None] * len(jobs)
        # The CPU makes three channels of gray, so that they are the same everywhere.
        plain = [i for i, (data, header) in enumerate(jobs) if is_plain(data, header) and not _is_widened(header)]
        parts = [plain[i : i + _AT_ONCE] for i in range(0, len(plain), _AT_ONCE)]
        # The CPU checks the next part while the device decodes one.
        checked = [self._checking.submit(whole, [jobs[i][0] for i in part], self._cores) for part in parts]
        for part, found in zip(parts, checked, strict=True):
            taken = [i for i, good in zip(part, found.result(), strict=True) if good]
            for channels in (1, 3):
                places = [i for i in taken if (1 if is_gray(jobs[i][1]) else 3) == channels]
                images = self._decoded([jobs[i][0] for i in places], channels, stream)
                for place, image in zip(places, images, strict=True):
                    if image is None:
                        self._require_memory(jobs[place][1].stored_wh)
                    else:
                        out[place] = self._upright(image, jobs[place][1], channels, stream)
        return out

    def _decoded(self, files: list[bytes], channels: int, stream: int) -> list[Any]:
        """nvImageCodec's pictures, as they are stored."""

        def decode(some: list[bytes]) -> list[Any]:
            streams = [self._codec.CodeStream(data) for data in some]
            return list(self._decoder.decode(streams, params=self._decoding[channels], cuda_stream=stream))

        with _memory_errors():
            images = decode(files) if files else []
            return [decode([data])[0] if image is None else image for data, image in zip(files, images, strict=True)]

    def _require_memory(self, size_wh: tuple[int, int]) -> None:
        """Raise MemoryError where a missing picture is due to memory, and would be returned another time."""
        width, height = size_wh
        if self._arrays.free() < _SCARCE + 8 * width * height:
            raise MemoryError(f"no memory on the device for the codec of a picture of {width}×{height}")

    def _upright(self, image: Any, header: Header, channels: int, stream: int) -> DevicePicture | None:
        width, height = header.stored_wh
        if tuple(image.shape) != (height, width, channels) or np.dtype(image.dtype) != np.uint8:
            return None
        if header.orientation == 1:
            return _described(image, self._arrays.interface(image))
        with self._arrays.on(stream):
            turned = upright_view(self._arrays.array(image), header.orientation).copy()
        return _described((turned, image), self._arrays.interface(turned))  # the copy may not be finished yet

    def encode(self, images: Sequence[DevicePicture], stream: int = 0) -> list[bytes | None]:
        """JPEGs in order, baseline, without EXIF; ``None`` where the CPU's codec is to encode one.

        Args:
            images: on the device, ready in ``stream``.
            stream: a CUDA stream as a number.

        Raises:
            MemoryError: not enough on the device for so many.
        """
        out: list[bytes | None] = [None] * len(images)
        for channels in (1, 3) if self._encodes else ():
            fitting = (i for i, image in enumerate(images) if image.channels == channels)
            places = [i for i in fitting if max(images[i].size_wh) <= _LONGEST_SIDE]
            for place, data in zip(places, self._encoded([images[i] for i in places], channels, stream), strict=True):
                if data is None:
                    self._require_memory(images[place].size_wh)
                out[place] = data
        return out

    def _encoded(self, images: list[DevicePicture], channels: int, stream: int) -> list[bytes | None]:
        if not images:
            return []
        with _memory_errors():
            wrapped = [self._codec.as_image(_exported(image, self._on_device), stream) for image in images]
            params = self._encoding[channels]
            streams = self._encoder.encode(wrapped, "jpeg", params=params, cuda_stream=stream)
            return [None if one is None else bytes(one) for one in streams]

    def close(self) -> None:
        """Release threads and memory; it cannot be used afterwards."""
        self._checking.shutdown(cancel_futures=True)
        self._cores.shutdown()
        del self._decoder, self._encoder


def _is_widened(header: Header) -> bool:
    """Whether gray is to become three channels."""
    return header.as_rgb and header.mode == "L"


def upright_view(array: Any, orientation: int) -> Any:
    """Stored pixels (H, W, C) of NumPy or CuPy turned upright, as a view; ``orientation`` is 1 to 8 as in EXIF."""
    if orientation >= 5:  # stored with rows and columns exchanged
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def _described(owner: object, interface: dict[str, Any]) -> DevicePicture:
    height, width, channels = interface["shape"]
    strides = interface.get("strides")
    pitch = width * channels if strides is None else strides[0]
    return DevicePicture(interface["data"][0], (width, height), channels, pitch, owner)


def _exported(picture: DevicePicture, on_device: bool) -> SimpleNamespace:
    """A picture as nvImageCodec reads it in its place: by the interface of CUDA arrays, or of NumPy's."""
    interface = {**picture.__cuda_array_interface__, "strides": (picture.pitch, picture.channels, 1)}
    name = "__cuda_array_interface__" if on_device else "__array_interface__"
    return SimpleNamespace(**{name: interface}, owner=picture)


class _Host:
    """Arrays where there is no device."""

    def interface(self, owner: Any) -> dict[str, Any]:
        return dict(owner.__array_interface__)

    def array(self, image: Any) -> Any:
        return np.asarray(image)

    def on(self, stream: int) -> AbstractContextManager[object]:
        return nullcontext()

    def free(self) -> int:
        return sys.maxsize


@dataclass(frozen=True)
class _Foreign:
    """A stream for the CUDA stream protocol, version 0."""

    pointer: int

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


class _Device:
    """Arrays of CuPy, which only turns pictures."""

    def __init__(self, device_id: int) -> None:
        self._cupy = import_cupy()
        self._device_id = device_id

    def interface(self, owner: Any) -> dict[str, Any]:
        return dict(owner.__cuda_array_interface__)

    def array(self, image: Any) -> Any:
        return self._cupy.asarray(image)

    @contextmanager
    def on(self, stream: int) -> Iterator[None]:
        with self._cupy.cuda.Device(self._device_id), self._cupy.cuda.Stream.from_external(_Foreign(stream)):
            yield

    def free(self) -> int:
        with self._cupy.cuda.Device(self._device_id):
            return int(self._cupy.cuda.runtime.memGetInfo()[0])


@contextmanager
def _memory_errors() -> Iterator[None]:
    """nvImageCodec's errors about allocation as MemoryError; "an illegal memory access" is not one of them."""
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error).lower() for word in ("out of memory", "alloc")):
            raise MemoryError(str(error)) from error
        raise
