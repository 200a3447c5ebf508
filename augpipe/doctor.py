"""What an installation is made of, and checks that its parts do what augpipe relies on.

Each check runs the real thing on a small input and compares it with numbers that are known.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from augpipe import __version__
from augpipe.device import extra, resolve, way_out
from augpipe.pixels.probe import Gpu, Probe, cuda_text, probe
from augpipe.sampling import Pixels

_PACKAGES = (
    "numpy", "opencv-python", "torch", "torchdata", "webdataset", "pillow", "pycocotools", "shapely", "msgspec",
    "pydantic", "typer",
)  # fmt: skip


_WARP = "24ca22726410aa69"


@dataclass(frozen=True)
class Check:
    """One self-check; ``fault`` is a sentence, or ``None`` if all is well."""

    name: str
    fault: str | None


def facts(probed: Callable[[], Probe] = probe) -> list[tuple[str, str]]:
    """Name and value of everything that may matter in a report of a fault; ``probed`` tells of CUDA."""
    from augpipe.run.config import versions

    found = probed()
    return [
        ("augpipe", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("cores", str(os.cpu_count())),
        ("device", resolve("auto", probed=lambda: found).sentence),
        ("codec", f"libjpeg-turbo {versions()['jpeg']} through OpenCV"),
        *((name, _version(name)) for name in _PACKAGES),
        *_of_cuda(found),
    ]


def _of_cuda(found: Probe) -> list[tuple[str, str]]:
    """What a run on CUDA needs, in the order in which it is needed; each part that is missing with the way out."""

    brought = f"not there; augpipe[{extra(found)}] brings it"
    knows = f" (knows CUDA {cuda_text(found.cuda)})" if found.cuda else ""
    built = f" (built with CUDA {cuda_text(found.runtime)})" if found.runtime else ""
    rows = [
        (
            "driver",
            f"{found.driver}{knows}"
            if found.driver
            else "not there; it comes from NVIDIA, or from the container's host",
        ),
        ("cupy", f"{found.cupy}{built}" if found.cupy else brought),
        ("nvrtc", found.nvrtc or brought),
        ("nvimgcodec", found.nvimgcodec or brought),
        ("nvjpeg", found.nvjpeg or brought),
        *((f"cuda:{gpu.index}", _of_gpu(gpu, found)) for gpu in found.gpus),
    ]
    return [*rows, ("probe", f"{found.fault.why}; {way_out(found.fault, found)}")] if found.fault else rows


def _of_gpu(gpu: Gpu, found: Probe) -> str:
    faults = [f"{fault.why}; {way_out(fault, found)}" for fault in (gpu.fault, gpu.codec_fault) if fault is not None]
    said = " · ".join(faults) or "a probe kernel and a picture through the codec came out right"
    return f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute {gpu.capability}: {said}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def checks() -> list[Check]:
    """The result of every self-check."""
    return [Check(name, check()) for name, check in _CHECKS.items()]


def _picture() -> Pixels:
    """A fixed picture of 61×47 with structure at every scale."""
    y, x = np.mgrid[0:47, 0:61]
    return np.stack([(x * 5 + y * y) % 256, (x * y) % 256, (x * x // 3 + y * 7) % 256], axis=-1).astype(np.uint8)


def _exact_moves() -> str | None:
    from augpipe.geometry import mirror_x
    from augpipe.sampling import resample

    same = np.array_equal(resample(_picture(), mirror_x(61), (61, 47)), _picture()[:, ::-1])
    return None if same else "a flip is no copy"


def _warp() -> str | None:
    from augpipe.geometry import about, rotation, rounded
    from augpipe.sampling import resample

    matrix = rounded(about((30.5, 23.5), rotation(30.0)))
    digest = hashlib.sha256(resample(_picture(), matrix, (61, 47)).tobytes()).hexdigest()[:16]
    return (
        None
        if digest == "24ca22726410aa69"
        else f"other bytes than elsewhere ({digest}): runs on this machine will differ"
    )


def _colour() -> str | None:
    from augpipe.colour import apply_integers, compiled, on_grid, saturation_hue
    from augpipe.pixels.cpu import recolour
    from augpipe.plan import Matrix3x4

    stage = compiled([Matrix3x4(on_grid(saturation_hue(1.3, 0.07)))])[0]
    same = np.array_equal(recolour(_picture(), stage)[:, :, ::-1], apply_integers(stage, _picture()[:, :, ::-1]))
    return None if same else "OpenCV's transform rounds in another way"


def _jpeg() -> str | None:
    from augpipe.pixels.codec import PictureFormat, decode, encode
    from augpipe.pixels.header import read_header

    data = encode(_picture(), PictureFormat(quality=100))
    back = decode(data, read_header(data))
    return None if back.shape == (47, 61, 3) else f"a picture of 61×47 came back as {back.shape}"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "exact moves": _exact_moves,
    "warp": _warp,
    "colour": _colour,
    "jpeg": _jpeg,
}
