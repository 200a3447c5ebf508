"""Files to pictures on a device and back, a batch at a time: by the CPU's codec or the device's.

Which of the two reads or writes a picture depends on the picture alone, so bytes do not depend on the rest of a batch
or on free memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from augpipe.core.errors import Reject
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pixels
from augpipe.pixels.backend import BackendOptions, PictureJob, or_reject
from augpipe.pixels.codec.image import PictureFormat, decode, encode
from augpipe.pixels.cuda.device_api import Accelerator, DevicePicture, Stream
from augpipe.pixels.cuda.nvimgcodec import DeviceCodec


class BatchCodec(Protocol):
    """Decodes and encodes batches. A picture that cannot be done is a :class:`Reject` in its place.

    ``shrinks`` says whether it decodes at a job's scale; one that does not gets no such jobs.
    """

    shrinks: bool

    def decode(self, jobs: Sequence[PictureJob], stream: Stream) -> list[DevicePicture | Reject]:
        """Upright pictures, there for what comes next in ``stream``.

        Raises:
            MemoryError: the device has not enough for so many.
        """

    def encode(
        self, pictures: Sequence[DevicePicture], forms: Sequence[PictureFormat], stream: Stream
    ) -> list[bytes | Reject]:
        """Pictures encoded, each in its own form; ``stream`` has waited for what made them.

        Raises:
            MemoryError: the device has not enough for so many.
        """


class HostCodec:
    """The CPU's codec, with pixels copied to and from the device. Fulfils :class:`BatchCodec`."""

    shrinks = True

    def __init__(self, accelerator: Accelerator, options: BackendOptions) -> None:
        self._accelerator, self._options = accelerator, options

    def decode(self, jobs: Sequence[PictureJob], stream: Stream) -> list[DevicePicture | Reject]:
        """See :class:`BatchCodec`."""
        return [self._decoded(job, stream) for job in jobs]

    def _decoded(self, job: PictureJob, stream: Stream) -> DevicePicture | Reject:
        keep = self._options.keep_truncated
        picture = or_reject("decode", decode, job.data, job.header, keep, job.scale_denominator)
        return picture if isinstance(picture, Reject) else uploaded(self._accelerator, picture, stream)

    def encode(
        self, pictures: Sequence[DevicePicture], forms: Sequence[PictureFormat], stream: Stream
    ) -> list[bytes | Reject]:
        """See :class:`BatchCodec`."""
        return [self._encoded(picture, form, stream) for picture, form in zip(pictures, forms, strict=True)]

    def _encoded(self, picture: DevicePicture, form: PictureFormat, stream: Stream) -> bytes | Reject:
        pixels = downloaded(self._accelerator, picture, stream)
        return or_reject("pixels", encode, pixels, form)


def uploaded(accelerator: Accelerator, picture: Pixels, stream: Stream) -> DevicePicture:
    """A picture (H, W), or (H, W, 3) in blue, green, red, on the device, where it is red, green, blue.

    Raises:
        MemoryError: the device has none left.
    """
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else 3
    pixels = picture if channels == 1 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    memory = accelerator.upload(np.ascontiguousarray(pixels), stream)
    return DevicePicture(memory.address, (width, height), channels, width * channels, memory)


def downloaded(accelerator: Accelerator, picture: DevicePicture, stream: Stream) -> Pixels:
    """The picture as :func:`uploaded` takes it; waits for ``stream``."""
    (width, height), row = picture.size_wh, picture.size_wh[0] * picture.channels
    count = picture.pitch * (height - 1) + row
    rows = np.empty((height, picture.pitch), np.uint8)
    rows.reshape(-1)[:count] = accelerator.download(picture.address, count, stream)
    if picture.channels == 1:
        return np.ascontiguousarray(rows[:, :row])
    return cv2.cvtColor(np.ascontiguousarray(rows[:, :row]).reshape(height, width, 3), cv2.COLOR_RGB2BGR)


class DeviceFirst:
    """The device's codec, and the host's for what that does not take. Fulfils :class:`BatchCodec`.

    It decodes at full size, and the device averages blocks, so that no picture waits for the host.
    """

    shrinks = False

    def __init__(self, own: DeviceCodec, host: HostCodec) -> None:
        self._own, self._host = own, host

    def decode(self, jobs: Sequence[PictureJob], stream: Stream) -> list[DevicePicture | Reject]:
        """See :class:`BatchCodec`."""
        found = self._own.decode([(job.data, job.header) for job in jobs], stream.pointer)
        left = iter(self._host.decode([job for job, image in zip(jobs, found, strict=True) if image is None], stream))
        return [next(left) if picture is None else picture for picture in found]

    def encode(
        self, pictures: Sequence[DevicePicture], forms: Sequence[PictureFormat], stream: Stream
    ) -> list[bytes | Reject]:
        """See :class:`BatchCodec`."""
        found: list[bytes | None] = [None] * len(pictures)
        own = [i for i, form in enumerate(forms) if form.format == "jpg"]
        for i, data in zip(own, self._own.encode([pictures[i] for i in own], stream.pointer), strict=True):
            found[i] = data
        rest = [i for i, data in enumerate(found) if data is None]
        left = iter(self._host.encode([pictures[i] for i in rest], [forms[i] for i in rest], stream))
        return [next(left) if data is None else data for data in found]
