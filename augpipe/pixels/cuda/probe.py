"""Whether CUDA works on this machine: a kernel is compiled and run, and its numbers are compared with NumPy's.

An import of CuPy shows little: the driver may be missing or too old, the device missing or full, NVRTC not installed,
or the compiler may fuse operations that must be rounded twice. Each has its own message and way out
(:mod:`augpipe.pixels.cuda.select`).

The probe runs in a process of its own. The calling process does not start CUDA, so it holds no memory of a device, can
still be forked, and survives a driver that crashes or hangs.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import msgspec
import numpy as np

from augpipe.core.errors import one_line
from augpipe.core.processes import python_command
from augpipe.pixels.cuda.device_api import DevicePicture, import_cupy

_SECONDS = 120  # the first compilation for a device is slow
_MARK = "augpipe-probe: "
_BUILDS = (
    ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy"),
    ("nvidia-nvimgcodec-cu11", "nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13"),
)
_NO_MEMORY, _INSUFFICIENT_DRIVER, _NO_DEVICE = 2, 35, 100  # cudaError_t
_COUNT = 4096
_KERNEL = r"""
extern "C" __global__ void augpipe_probe(const float *line, int count, int *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float at = __fadd_rn(line[0], (float)i * line[1]);
    int grid = __float2int_rn(at * 32.0f) * 3 + (int)(((long long)i * 2654435769LL) >> 16 & 255);
    out[i] = __float_as_int(at) ^ grid;
}
"""


@dataclass(frozen=True)
class ProbeFault:
    """Why something cannot be used: a short name for programs, and a clause for messages."""

    code: str
    why: str


@dataclass(frozen=True)
class Gpu:
    """One CUDA device. ``memory`` is in bytes, ``fault`` is of the kernels, ``codec_fault`` of nvImageCodec."""

    index: int
    name: str
    memory: int
    capability: str
    fault: ProbeFault | None = None
    codec_fault: ProbeFault | None = None


@dataclass(frozen=True)
class Probe:
    """What was found; versions are ``None`` where a part is missing.

    ``headers`` is the folder of CUDA's headers, without which CuPy 14 compiles nothing. ``cuda`` is the newest CUDA
    that the driver supports, ``runtime`` that of CuPy's build, both in CUDA's numbering: 12080 is 12.8.
    """

    fault: ProbeFault | None = None
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: int | None = None
    cupy: str | None = None
    runtime: int | None = None
    nvrtc: str | None = None
    headers: str | None = None
    nvimgcodec: str | None = None
    nvjpeg: str | None = None


def cuda_text(version: int) -> str:
    """12080 as ``12.8``."""
    return f"{version // 1000}.{version % 1000 // 10}"


# --- in the calling process ------------------------------------------------------------------------------------------


def probe(seconds: float = _SECONDS) -> Probe:
    """Probe in a new process."""
    if (fault := _two_builds()) is not None:
        return _without_cupy(fault)
    if find_spec("cupy") is None:
        return _without_cupy(ProbeFault("no-cupy", "CuPy is not installed"))
    command = python_command("from augpipe.pixels.cuda.probe import answer; answer()")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return _without_cupy(ProbeFault("probe", f"a probe did not end within {seconds:.0f} seconds"))
    except OSError as error:
        return _without_cupy(ProbeFault("probe", f"no process could be started to try it: {one_line(error)}"))
    for line in reversed(done.stdout.decode("utf-8", "replace").splitlines()):
        if line.startswith(_MARK):
            return msgspec.json.decode(line.removeprefix(_MARK), type=Probe)
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"by signal {-done.returncode}" if done.returncode < 0 else f"with {done.returncode}"
    return _without_cupy(ProbeFault("probe", f"a probe ended {how}{': ' if said else ''}{one_line(said, 100)}"))


def _without_cupy(fault: ProbeFault) -> Probe:
    """What is known without running anything."""
    codec = _first_version(_BUILDS[1])
    return Probe(fault, driver=_driver(), cuda=_driver_cuda(), nvjpeg=_nvjpeg(), nvimgcodec=codec)


def _two_builds() -> ProbeFault | None:
    """Builds for several CUDAs are packages with the same files, which pip installs over each other."""
    for builds in _BUILDS:
        there = [name for name in builds if _version(name) is not None]
        if len(there) > 1:
            return ProbeFault("two-builds", f"{' and '.join(there)} are both installed, and overwrite each other")
    return None


# --- in the new process ----------------------------------------------------------------------------------------------


def answer() -> None:
    """Print what is found, for the calling process."""
    print(f"\n{_MARK}{msgspec.json.encode(examined()).decode()}", flush=True)
    os._exit(0)  # some drivers crash at exit


def examined(module: Callable[[], Any] = import_cupy) -> Probe:
    """Try everything that a run on CUDA needs, in this process; ``module`` gives CuPy."""
    found = Probe(driver=_driver(), cuda=_driver_cuda(), nvjpeg=_nvjpeg(), nvimgcodec=_nvimgcodec())
    try:
        cupy = module()
        found = replace(found, cupy=str(cupy.__version__), runtime=int(cupy.cuda.runtime.runtimeGetVersion()))
    except Exception as error:  # an import of another project may raise anything
        if isinstance(error, OSError) and error.filename is not None:  # of its cache folder, made on import
            return replace(
                found, fault=ProbeFault("no-folder", f"CuPy cannot keep compiled kernels: {one_line(error, 160)}")
            )
        return replace(found, fault=ProbeFault("broken-cupy", f"CuPy does not load: {one_line(error, 160)}"))
    found = replace(found, nvrtc=_nvrtc(cupy), headers=_headers())
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:
        return replace(found, fault=_fault_of_driver(error, found))
    if count == 0:
        return replace(found, fault=_NONE_VISIBLE)
    if found.nvrtc is None:
        found = replace(found, fault=ProbeFault("no-nvrtc", "NVRTC, which compiles the kernels, is not installed"))
    return replace(found, gpus=tuple(_gpu(cupy, index, found) for index in range(count)))


_FULL = ProbeFault("no-memory", "the device has no memory left")
_NONE_VISIBLE = ProbeFault("no-device", "no CUDA device is visible")


def _fault_of_driver(error: Exception, found: Probe) -> ProbeFault:
    """Why devices cannot be counted."""
    status = getattr(error, "status", None)
    if found.cuda is None or found.cuda == 0:
        return ProbeFault("no-driver", "there is no NVIDIA driver")
    if status == _INSUFFICIENT_DRIVER:
        needs = f"; CuPy was built with {cuda_text(found.runtime)}" if found.runtime else ""
        return ProbeFault("old-driver", f"the driver is of CUDA {cuda_text(found.cuda)}{needs}")
    if status == _NO_DEVICE:
        return _NONE_VISIBLE
    return ProbeFault("probe", f"the driver does not answer: {one_line(error, 120)}")


def _gpu(cupy: Any, index: int, found: Probe) -> Gpu:
    """One device, tried."""
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    name = properties["name"]
    gpu = Gpu(
        index,
        one_line(name.decode("utf-8", "replace") if isinstance(name, bytes) else name, 60),
        int(properties["totalGlobalMem"]),
        f"{properties['major']}.{properties['minor']}",
    )
    fault = found.fault or kernel_fault(cupy, index)
    return replace(gpu, fault=fault, codec_fault=None if fault else _codec_fault(cupy, index))


def kernel_fault(cupy: Any, index: int) -> ProbeFault | None:
    """What is wrong with a kernel that is compiled, run, and compared with NumPy."""
    line = np.array([-3.3, 0.37], np.float32)
    try:
        with cupy.cuda.Device(index):
            kernel = cupy.RawKernel(_KERNEL, "augpipe_probe", options=("--std=c++17", "--fmad=false"))
            out = cupy.zeros(_COUNT, np.int32)
            kernel((_COUNT // 256,), (256,), (cupy.asarray(line), np.int32(_COUNT), out))
            got = cupy.asnumpy(out)
    except MemoryError:
        return _FULL
    except Exception as error:  # CuPy has unrelated classes for the libraries below it
        if type(error).__name__ == "DynamicLibNotFoundError":
            return ProbeFault("no-nvrtc", "NVRTC, which compiles the kernels, is not installed")
        if "CUDA headers" in str(error):
            return ProbeFault("no-headers", "CUDA's headers, which every kernel includes, are not installed")
        if getattr(error, "status", None) == _NO_MEMORY:
            return _FULL
        return ProbeFault("probe", f"a probe kernel failed: {one_line(error, 120)}")
    if not np.array_equal(got, _expected(line)):
        return ProbeFault("mismatch", "a probe kernel gave other numbers than the CPU")
    return None


def _expected(line: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The kernel's numbers, rounded after each operation."""
    i = np.arange(_COUNT, dtype=np.int64)
    at = line[0] + i.astype(np.float32) * line[1]
    whole = np.rint(at * np.float32(32)).astype(np.int64) * 3
    grid = np.asarray(whole + (i * 2654435769 >> 16 & 255), np.int32)
    return np.asarray(at.view(np.int32) ^ grid)


def _codec_fault(cupy: Any, index: int) -> ProbeFault | None:
    """What is wrong with nvImageCodec on a device: it encodes and decodes a picture, which is compared with
    libjpeg's."""
    from augpipe.pixels.codec.header import read_header
    from augpipe.pixels.codec.image import PictureFormat, decode
    from augpipe.pixels.cuda.nvimgcodec import DeviceCodec

    y, x = np.mgrid[0:48, 0:64]
    picture = np.stack([4 * x, 5 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
    try:
        with cupy.cuda.Device(index):
            codec = DeviceCodec(index, PictureFormat(), threads=1)
            array = cupy.asarray(picture)
            (data,) = codec.encode([DevicePicture(int(array.data.ptr), (64, 48), 3, 64 * 3, array)])
            if data is None:
                return ProbeFault("codec", "nvImageCodec encodes nothing here")
            header = read_header(data)
            (back,) = codec.decode([(data, header)])
            if back is None:
                return ProbeFault("codec", "nvImageCodec decodes nothing here")
            pixels = cupy.asnumpy(cupy.asarray(back.owner))
    except ImportError as error:
        return ProbeFault("no-codec", one_line(error, 120))
    except Exception as error:  # theirs, of any class
        return ProbeFault("codec", f"nvImageCodec failed: {one_line(error, 120)}")
    by_cpu = decode(data, header)[:, :, ::-1]
    for name, one, other in (("decodes", pixels, by_cpu), ("encodes", by_cpu, picture)):
        if one.shape != other.shape or np.abs(one.astype(int) - other.astype(int)).mean() > 3:
            return ProbeFault("codec", f"nvImageCodec {name} another picture than the CPU")
    return None


# --- versions --------------------------------------------------------------------------------------------------------


def _driver_cuda() -> int | None:
    """The newest CUDA that the driver supports; asking does not start it."""
    try:
        version = ctypes.c_int()
        status = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return version.value if status == 0 else None


def _driver(path: str = "/proc/driver/nvidia/version") -> str | None:
    """Version of the driver, such as 570.86.15, or else its CUDA version."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(r"\b\d{3,}(\.\d+)+\b", file.readline())
    except OSError:
        found = None
    cuda = _driver_cuda()
    return found[0] if found else None if cuda is None else f"CUDA {cuda_text(cuda)}"


def _nvrtc(cupy: Any) -> str | None:
    try:
        return ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    except Exception:  # a class of its own for a library that is not there
        return None


def _headers() -> str | None:
    """The folder of CUDA's headers, found as CuPy does, by a package of NVIDIA's that it depends on."""
    try:
        found = import_module("cuda.pathfinder").find_nvidia_header_directory("cudart")
    except Exception:  # an older one, or none
        return None
    return None if found is None else str(found)


def _nvimgcodec() -> str | None:
    from augpipe.pixels.cuda.nvimgcodec import load

    try:
        return str(load().__version__)
    except ImportError:
        return None


def _nvjpeg() -> str | None:
    return _first_version(("nvidia-nvjpeg-cu12", "nvidia-nvjpeg"))


def _first_version(packages: Sequence[str]) -> str | None:
    return next((version for name in packages if (version := _version(name)) is not None), None)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
