"""The device and the codec of a run, decided once and described in one line.

``auto`` takes CUDA only where the probe has succeeded (:mod:`augpipe.pixels.cuda.probe`), and says why otherwise. A
device or codec that is named and does not work is an error with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from augpipe.core.errors import UsageError, one_line
from augpipe.core.extras import install_command
from augpipe.pixels.cuda.probe import Gpu, Probe, ProbeFault, probe

_CODECS = ("auto", "cpu", "gpu")
_WITHOUT = "--device cpu works without"


@dataclass(frozen=True)
class Device:
    """The device of a run.

    Attributes:
        kind: CPU or CUDA.
        indexes: numbers of the CUDA devices.
        names: of those devices.
        codec: decodes and encodes JPEGs.
        sentence: the device and, where a better one was not used, the reason.
        versions: of what may change a byte on this device; fields of config.versions in docs/format.md.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    indexes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    codec: Literal["cpu", "nvimgcodec"] = "cpu"
    sentence: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)


def resolve(
    device: str = "auto", codec: str = "auto", probed: Callable[[], Probe] = probe, kept: str | None = None
) -> Device:
    """The device to use.

    Args:
        device: auto, cpu, cuda, cuda:N or cuda:all.
        codec: auto, cpu or gpu.
        probed: finds what there is; called only where that matters.
        kept: how an error begins for a run that goes on and so has no choice.

    Raises:
        UsageError: a device or codec that is named and cannot work, or does not exist.
    """
    require_names(device, codec)
    if device == "cpu":
        if codec == "gpu":
            raise UsageError("--codec gpu: cannot work with --device cpu; use --device cuda, or --codec cpu")
        return Device()
    found = probed()
    chosen = _chosen(device, found)
    if isinstance(chosen, ProbeFault):
        if device == "auto" and codec != "gpu":
            return Device(sentence=f"cpu (cuda not used: {chosen.why})")
        raise _refusal("--codec gpu" if device == "auto" else f"--device {device}", chosen, found, kept)
    return _on_cuda(chosen, codec, found, kept)


def require_names(device: str, codec: str) -> None:
    """Raise :class:`UsageError` unless both are names of a device and a codec."""
    if codec not in _CODECS:
        raise UsageError(f"--codec {one_line(codec)}: expected auto, cpu or gpu")
    if not re.fullmatch(r"auto|cpu|cuda(:([0-9]{1,4}|all))?", device):
        raise UsageError(f"--device {one_line(device)}: expected auto, cpu, cuda, cuda:N or cuda:all")


def _chosen(device: str, found: Probe) -> tuple[Gpu, ...] | ProbeFault:
    """The devices that are named, all of which work, or why not."""
    if not found.gpus:
        return found.fault or ProbeFault("no-device", "no CUDA device is visible")
    which = device.partition(":")[2]
    if which.isdecimal():
        gpus = tuple(gpu for gpu in found.gpus if gpu.index == int(which))
        if not gpus:
            have = "only cuda:0" if len(found.gpus) == 1 else f"cuda:0 to cuda:{len(found.gpus) - 1}"
            return ProbeFault("no-such-device", f"there is {have}")
    else:
        gpus = found.gpus
    faults = [gpu.fault for gpu in gpus if gpu.fault is not None]
    if which == "all" or which.isdecimal():
        return faults[0] if faults else gpus
    return tuple(gpu for gpu in gpus if gpu.fault is None)[:1] or faults[0]


def _on_cuda(gpus: tuple[Gpu, ...], codec: str, found: Probe, kept: str | None) -> Device:
    names = tuple(gpu.name for gpu in gpus)
    where = ", ".join(f"cuda:{gpu.index} ({gpu.name})" for gpu in gpus)
    fault = None if codec == "cpu" else _fault_of_codec(gpus)
    if fault is not None and codec == "gpu":
        raise _refusal("--codec gpu", fault, found, kept)
    versions = {"cupy": found.cupy, "driver": found.driver, "nvrtc": found.nvrtc}
    indexes = tuple(gpu.index for gpu in gpus)
    if codec == "cpu" or fault is not None:
        sentence = where if fault is None else f"{where}; pictures by the CPU's codec ({fault.why})"
        return Device("cuda", indexes, names, "cpu", sentence, _known(versions))
    versions |= {"nvimgcodec": found.nvimgcodec, "nvjpeg": found.nvjpeg, "gpu": names[0]}
    return Device("cuda", indexes, names, "nvimgcodec", where, _known(versions))


def _refusal(option: str, fault: ProbeFault, found: Probe, kept: str | None) -> UsageError:
    way = way_out(fault, found)
    if kept is not None:
        way = way.replace(_WITHOUT, f"another DST with {_WITHOUT}")
    return UsageError(f"{kept or f'{option}:'} cannot work, {fault.why}\n{way}")


def _known(versions: Mapping[str, str | None]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if version is not None}


def _fault_of_codec(gpus: tuple[Gpu, ...]) -> ProbeFault | None:
    """Why nvImageCodec cannot be used on all of the devices."""
    if len({gpu.name for gpu in gpus}) > 1:
        return ProbeFault("several-kinds", "devices of several kinds decode to several kinds of bytes")
    return next((gpu.codec_fault for gpu in gpus if gpu.codec_fault is not None), None)


# --- ways out --------------------------------------------------------------------------------------------------------


def extra(found: Probe) -> str:
    """The extra of augpipe for this machine, by the CUDA of CuPy, else of the driver."""
    version = found.runtime or found.cuda or 0
    return "gpu-cu13" if version >= 13000 else "gpu-cu12"


def way_out(fault: ProbeFault, found: Probe) -> str:
    """What to do about a fault, in one line."""
    install = install_command(extra(found))
    if fault.code == "no-cupy":
        # Without a driver, the extra alone leads to the next error.
        both = f"install NVIDIA's driver; then {install} (docs/gpu.md for CUDA 13); {_WITHOUT}"
        return install if found.cuda else both
    if fault.code == "broken-cupy":
        return f"{install.replace('install', 'install --force-reinstall', 1)}; {_WITHOUT}"
    if fault.code == "two-builds":
        packages = fault.why.partition(" are ")[0].replace(" and ", " ")
        right = "gpu-cu13" if (found.cuda or 0) >= 13000 else "gpu-cu12"
        return f"pip uninstall {packages}; then {install_command(right)}"
    if fault.code == "old-driver" and (found.cuda or 0) // 1000 == 12:
        return f"pip uninstall cupy-cuda13x nvidia-nvimgcodec-cu13; then {install_command('gpu-cu12')}"
    return {
        "no-driver": f"install NVIDIA's driver, or give the container its devices (docker run --gpus all); {_WITHOUT}",
        "old-driver": f"install a driver of CUDA 12 or newer; {_WITHOUT}",
        "no-device": f"see nvidia-smi, and CUDA_VISIBLE_DEVICES, which hides devices; {_WITHOUT}",
        "no-such-device": "see nvidia-smi, and CUDA_VISIBLE_DEVICES, which numbers them anew",
        "no-folder": f"CUPY_CACHE_DIR=FOLDER names one that can be written; {_WITHOUT}",
        "no-nvrtc": install,
        "no-headers": f"{install}; or CUDA_PATH=FOLDER names a CUDA toolkit",
        "no-codec": f"{install}; or use --codec cpu",
        "no-memory": f"see nvidia-smi for what holds it; {_WITHOUT}",
        "several-kinds": "use devices of one kind, or --codec cpu",
        "codec": f"{install} brings all of it; or use --codec cpu",
    }.get(fault.code, f"augpipe doctor shows more; {_WITHOUT}")
