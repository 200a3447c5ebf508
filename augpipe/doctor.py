"""What an installation consists of, and checks that its parts do what augpipe relies on.

Each check runs the real thing on a small input and compares it with known numbers, in a process of its own: a library
that does not load, or that brings its process down, is a row like the others.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from augpipe import __version__
from augpipe.core import opencv
from augpipe.core.errors import one_line
from augpipe.core.extras import version_of
from augpipe.core.machine import cores, memory
from augpipe.core.plan import Pixels
from augpipe.core.processes import python_command
from augpipe.pixels.cuda.probe import Gpu, Probe, cuda_text, probe
from augpipe.pixels.cuda.select import extra, resolve, way_out

_PACKAGES = ("numpy", "pillow", "pycocotools", "shapely", "msgspec", "pydantic", "typer")
_OPTIONAL = {
    **dict.fromkeys(("torch", "torchdata", "webdataset"), "the extra train brings it, and only training needs it"),
    "matplotlib": "the extra plots brings it, and only inspect -o needs it",
}
_SECONDS = 120
_CODEC = "codec"
_MARK = "augpipe-doctor: "


@dataclass(frozen=True)
class Check:
    """One self-check; ``fault`` is a sentence, or ``None`` if all is well."""

    name: str
    fault: str | None


def facts(probed: Callable[[], Probe] = probe) -> list[tuple[str, str]]:
    """Name and value of everything that may matter in a report of a fault; ``probed`` looks for CUDA."""
    found = probed()
    return [
        ("augpipe", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("cores", str(cores())),
        ("memory", f"{memory() / 2**30:.1f} GiB"),
        ("device", resolve("auto", probed=lambda: found).sentence),
        ("opencv", _opencv()),
        *((name, version_of(name) or "not installed") for name in _PACKAGES),
        *((name, version_of(name) or f"not there; {way}") for name, way in _OPTIONAL.items()),
        *_of_cuda(found),
    ]


def _opencv() -> str:
    builds = opencv.installed_builds()
    there = " and ".join(f"{name} {version}" for name, version in builds.items())
    if len(builds) > 1:
        return f"{there} are both installed and share the folder cv2; keep one of them: {opencv.way_out('')}"
    return there or f"not installed as a package; {opencv.way_out('')}"


def _of_cuda(found: Probe) -> list[tuple[str, str]]:
    """What a run on CUDA needs, in the order in which it is needed; each part that is missing with the way out."""
    brought = f"not there; the extra {extra(found)} brings it"
    knows = f" (knows CUDA {cuda_text(found.cuda)})" if found.cuda else ""
    built = f" (built with CUDA {cuda_text(found.runtime)})" if found.runtime else ""
    no_driver = "not there; it comes from NVIDIA, or from the container's host"
    rows = [
        ("driver", f"{found.driver}{knows}" if found.driver else no_driver),
        ("cupy", f"{found.cupy}{built}" if found.cupy else brought),
        *((name, getattr(found, name) or brought) for name in ("nvrtc", "headers", "nvimgcodec", "nvjpeg")),
        *((f"cuda:{gpu.index}", _of_gpu(gpu, found)) for gpu in found.gpus),
    ]
    return [*rows, ("probe", f"{found.fault.why}; {way_out(found.fault, found)}")] if found.fault else rows


def _of_gpu(gpu: Gpu, found: Probe) -> str:
    faults = [f"{fault.why}; {way_out(fault, found)}" for fault in (gpu.fault, gpu.codec_fault) if fault is not None]
    result = " · ".join(faults) or "a probe kernel and a picture through the codec came out right"
    return f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute {gpu.capability}: {result}"


# --- self-checks -----------------------------------------------------------------------------------------------------


def checks() -> tuple[list[Check], str]:
    """(the result of every self-check, the JPEG codec), found in a process of its own."""
    command = python_command("from augpipe.doctor import answer; answer()")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        ended, output = f"{_how_it_ended(done.returncode)}{': ' if last else ''}{one_line(last, 160)}", done.stdout
    except subprocess.TimeoutExpired as error:
        ended, output = f"did not end within {_SECONDS} seconds", error.stdout or b""
    results: dict[str, str | None] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(_MARK):  # a library may have printed, too
            results.update(json.loads(line.removeprefix(_MARK)))
    codec = results.pop(_CODEC, None) or "unknown"
    return [Check(name, results.get(name, f"not done: the process {ended}")) for name in _CHECKS], codec


def _how_it_ended(code: int) -> str:
    try:
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    except ValueError:
        return f"was ended by signal {-code}"


def answer() -> None:
    """Do the checks here, and print a JSON object for each as it is done."""
    for name, check in _CHECKS.items():
        try:
            fault = check()
        except Exception as error:  # whatever a library may raise is what was to be found out
            fault = "; ".join(one_line(line, 300) for line in str(error).splitlines()) or type(error).__name__
        print(f"{_MARK}{json.dumps({name: fault})}", flush=True)
    print(f"{_MARK}{json.dumps({_CODEC: _codec()})}", flush=True)


def _codec() -> str:
    found = re.search(r"JPEG:\s+.*?\(ver ([^)]+)\)", opencv.cv2.getBuildInformation())
    return f"libjpeg-turbo {found[1] if found else 'unknown'} through OpenCV {opencv.cv2.__version__}"


def _picture() -> Pixels:
    """A fixed picture of 61×47 with structure at every scale."""
    y, x = np.mgrid[0:47, 0:61]
    return np.stack([(x * 5 + y * y) % 256, (x * y) % 256, (x * x // 3 + y * 7) % 256], axis=-1).astype(np.uint8)


def _exact_moves() -> str | None:
    from augpipe.core.geometry import mirror_x
    from augpipe.pixels.steps.warp import Warp

    flipped = Warp(matrix=mirror_x(61), size_wh=(61, 47)).on_cpu(_picture(), None)
    same = np.array_equal(flipped, _picture()[:, ::-1])
    return None if same else "a flip is no copy"


def _warp() -> str | None:
    from augpipe.core.geometry import about, rotation, rounded
    from augpipe.pixels.steps.warp import Warp

    step = Warp(matrix=rounded(about((30.5, 23.5), rotation(30.0))), size_wh=(61, 47))
    digest = hashlib.sha256(step.on_cpu(_picture(), None).tobytes()).hexdigest()[:16]
    if digest == "24ca22726410aa69":
        return None
    return f"other bytes than elsewhere ({digest}): runs on this machine will differ"


def _color() -> str | None:
    from augpipe.core.color import apply_integers, compiled, on_grid, saturation_hue
    from augpipe.core.plan import Matrix3x4
    from augpipe.pixels.steps.color import Color

    step = Color(stages=(Matrix3x4(on_grid(saturation_hue(1.3, 0.07))),))
    expected = apply_integers(compiled(step.stages)[0], _picture()[:, :, ::-1])
    same = np.array_equal(step.on_cpu(_picture(), None)[:, :, ::-1], expected)
    return None if same else "OpenCV's transform rounds in another way"


def _jpeg() -> str | None:
    from augpipe.pixels.codec.header import read_header
    from augpipe.pixels.codec.image import PictureFormat, decode, encode

    data = encode(_picture(), PictureFormat(quality=100))
    back = decode(data, read_header(data))
    return None if back.shape == (47, 61, 3) else f"a picture of 61×47 came back as {back.shape}"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "exact moves": _exact_moves,
    "warp": _warp,
    "color": _color,
    "jpeg": _jpeg,
}
