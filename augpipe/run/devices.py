"""Which device a run works on, and that one which goes on stays with the kind it was begun with.

``auto`` is decided once. What it came to stands in run.json, and is kept when the run goes on, on whatever machine: the
device and the codec decide the bytes, so shards of two kinds must not meet in one folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, refusals_told
from augpipe.pixels.cuda.probe import Probe, probe
from augpipe.pixels.cuda.select import Device, require_names, resolve
from augpipe.run.folder.store import Store

_CODECS = {"cpu": "cpu", "nvimgcodec": "gpu"}  # as config.backend names them → as --codec does


def device_of(
    folder: Path,
    device: str = "auto",
    codec: str = "auto",
    *,
    overwrite: bool = False,
    probed: Callable[[], Probe] = probe,
) -> Device:
    """The device for a run into ``folder``.

    Args:
        folder: may hold a run, which is then gone on with.
        device: as ``--device``.
        codec: as ``--codec``.
        overwrite: the run that is there will be deleted, so nothing of it is kept.
        probed: tells what there is.

    Raises:
        UsageError: it cannot work; or auto stands for what the run was begun with, and that cannot work here.
    """
    require_names(device, codec)
    with refusals_told(folder):
        state = None if overwrite or not folder.is_dir() else Store(folder).state()
    if state is None:
        return resolve(device, codec, probed)
    kind, codec_then = _backend(state.config, folder)
    if device == "auto":
        return _again(folder, kind, codec_then if codec == "auto" else codec, probed)
    same_kind = device.partition(":")[0] == kind
    return resolve(device, codec_then if same_kind and codec == "auto" else codec, probed)


def kept_device(config: Mapping[str, Any], folder: Path, probed: Callable[[], Probe] = probe) -> Device:
    """The device for a run that is done again, by its configuration alone.

    Raises:
        UsageError: it cannot work here.
    """
    return _again(folder, *_backend(config, folder), probed)


def _again(folder: Path, kind: str, codec: str, probed: Callable[[], Probe]) -> Device:
    if kind == "cpu":
        resolve("cpu", codec)
        return Device(sentence="cpu (cuda not used: the run in DST was begun without it)")
    return resolve("cuda", codec, probed, kept=f"{folder}: was begun on CUDA and stays with it; here that")


def _backend(config: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    """Device and ``--codec`` of a configuration."""
    backend = config.get("backend")
    if isinstance(backend, Mapping):
        kind, codec = backend.get("device"), backend.get("codec")
        if kind in ("cpu", "cuda") and codec in tuple(_CODECS) and (kind == "cuda" or codec == "cpu"):
            return kind, _CODECS[codec]
    raise UsageError(
        f"{folder}/run.json: backend is not as docs/format.md has it; choose another DST, or remove the folder"
    )
