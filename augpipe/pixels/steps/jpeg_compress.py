"""JPEG compression artefacts."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register
from augpipe.pixels.reference import levels_of

_BLOCKS_A_GRID = 64  # JPEG_BLOCKS in jpeg.cu: a thread each


@register
class JpegCompress(Step, frozen=True, tag="recode"):
    """Compress as baseline JPEG, 4:2:0, at ``quality`` and decode again."""

    quality: int

    def fault(self, most_pixels: int) -> str | None:
        return None if 1 <= self.quality <= 100 else f"quality {self.quality}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        from augpipe.pixels.codec.image import jpeg_options

        _, data = cv2.imencode(".jpg", picture, jpeg_options(self.quality))
        again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR)
        assert again is not None
        return again

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        w, h = size_wh
        table = [v for divisor in divisors(self.quality) for v in (divisor, -(-(2**32) // (8 * divisor)))]
        blocks = -(-w // 8) * -(-h // 8) + (2 * -(-w // 16) * -(-h // 16) if channels == 3 else 0)
        yield Pass(
            "jpeg_blocks",
            size_wh,
            size_wh,
            channels,
            64 * blocks,
            table=struct.pack("<256I", *table),
            grid=(-(-blocks // _BLOCKS_A_GRID), (_BLOCKS_A_GRID, 1)),
        )
        yield Pass("jpeg_pixels", size_wh, size_wh, channels)

    def reference(self, levels: F64) -> F64:
        """By Pillow's JPEG codec; JPEG leaves its decoders some freedom, so this is a judge within a level or two."""
        from PIL import Image

        file = io.BytesIO()
        pixels = levels.astype(np.uint8)
        image = Image.fromarray(pixels[:, :, 0] if levels.shape[2] == 1 else pixels)
        image.save(file, "JPEG", quality=self.quality, subsampling="4:2:0")
        return levels_of(np.asarray(Image.open(file)))


# ITU-T T.81, tables K.1 and K.2, by rows.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip


def divisors(quality: int) -> tuple[int, ...]:
    """What libjpeg divides coefficients by at a quality: 64 for luma and 64 for chroma, each 1..255."""
    quality = max(1, min(100, quality))
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(max(1, min(255, (v * percent + 50) // 100)) for v in (*_LUMA, *_CHROMA))
