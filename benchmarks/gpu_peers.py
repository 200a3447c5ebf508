"""The sections of ``gpu.py`` that measure others on the same JPEGs: torchvision v2 and Kornia, with what is theirs.

Both do what the recipe ``detection`` does, each picture with parameters of its own. torchvision draws one set of
parameters a call, so it is called once a picture. Kornia takes a batch of equal sizes in float32, so only pictures of
the most frequent size are used. Files are read and written by torchvision, on the device where there is one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gpu_bench import Bench

TURN, SHIFT, SCALE = 10, (0.1, 0.1), (0.8, 1.2)
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.25, 0.25, 0.3, 0.03
BLUR, NOISE, RARELY = (0.3, 1.2), 6 / 255, 0.2


def torchvision(bench: Bench) -> None:
    """Pictures one by one, as its parameters are those of a call."""
    import torch
    from torchvision.io import decode_jpeg, encode_jpeg
    from torchvision.transforms import v2

    device = "cpu" if bench.on_cpu else "cuda"
    effects = v2.Compose([
        v2.RandomHorizontalFlip(0.5),
        v2.RandomAffine(TURN, SHIFT, SCALE, interpolation=v2.InterpolationMode.BILINEAR),
        v2.ColorJitter(BRIGHTNESS, CONTRAST, SATURATION, HUE),
        v2.RandomApply([v2.RandomChoice([v2.GaussianBlur(5, BLUR), _noise(torch, v2)])], RARELY),
    ])  # fmt: skip
    files = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in bench.files]
    parts = [files[part] for part in bench.batches()]

    def decoded(part: list[Any]) -> list[Any]:
        return list(decode_jpeg(part, device=device))

    pictures = [decoded(part) for part in parts]
    count = len(files)
    bench.on_the_wall("codec", "decode, torchvision", lambda: [decoded(part) for part in parts], count)
    bench.on_the_wall("codec", "encode, torchvision", lambda: [encode_jpeg(p, quality=90) for p in pictures], count)
    bench.on_the_wall("pixel stage", "torchvision v2", lambda: [[effects(p) for p in part] for part in pictures], count)
    bench.on_the_wall("end to end", "torchvision v2", lambda: [
        encode_jpeg([effects(p) for p in decoded(part)], quality=90) for part in parts
    ], count)  # fmt: skip


def _noise(torch: Any, v2: Any) -> Any:
    class Noise(v2.Transform):  # type: ignore[misc, name-defined]
        """Gaussian noise on 8 bits, which v2 has for floats alone."""

        def transform(self, picture: Any, params: dict[str, Any]) -> Any:
            noisy = picture.float() + torch.randn(picture.shape, device=picture.device) * (NOISE * 255)
            return noisy.round_().clamp_(0, 255).to(torch.uint8)

    return Noise()


def kornia(bench: Bench) -> None:
    """Batches of one size in float32, with parameters a picture."""
    import torch
    from kornia import augmentation as K
    from torchvision.io import decode_jpeg, encode_jpeg

    device = "cpu" if bench.on_cpu else "cuda"
    size = Counter(header.stored_wh for header in bench.headers).most_common(1)[0][0]
    kept = [data for data, header in zip(bench.files, bench.headers, strict=True) if header.stored_wh == size]
    files = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in kept]
    parts = [files[i : i + bench.batch] for i in range(0, len(files), bench.batch)]
    effects = torch.nn.Sequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(TURN, SHIFT, SCALE, p=1.0),
        K.ColorJitter(BRIGHTNESS, CONTRAST, SATURATION, HUE, p=1.0),
        K.RandomGaussianBlur((5, 5), BLUR, p=RARELY / 2),
        K.RandomGaussianNoise(std=NOISE, p=RARELY / 2),
    )

    def floats(part: list[Any]) -> Any:
        return torch.stack(list(decode_jpeg(part, device=device))).float() / 255

    def bytes_of(batch: Any) -> list[Any]:
        return list((batch * 255).round_().clamp_(0, 255).to(torch.uint8))

    with torch.inference_mode():
        batches = [floats(part) for part in parts]
        bench.on_the_wall("pixel stage", "Kornia", lambda: [effects(batch) for batch in batches], len(files))
        bench.on_the_wall("end to end", "Kornia", lambda: [
            encode_jpeg(bytes_of(effects(floats(part))), quality=90) for part in parts
        ], len(files))  # fmt: skip
