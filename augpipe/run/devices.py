"""The device of a run. ``auto`` is decided once and kept in run.json for every machine on which the run goes on.

The device and the codec decide the bytes, so a folder must not mix shards of two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, refusals_told
from augpipe.pixels.cuda.probe import Probe, probe
from augpipe.pixels.cuda.select import Device, require_names, resolve
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.store import open_store

_CODECS = {"cpu": "cpu", "nvimgcodec": "gpu"}  # name in config.backend → name in --codec


def device_of(
    folder: Path,
    device: str = "auto",
    codec: str = "auto",
    *,
    overwrite: bool = False,
    probed: Callable[[], Probe] = probe,
) -> Device:
    """The device for a run into ``folder``, which may hold a run that goes on.

    Args:
        folder: the output.
        device: as ``--device``.
        codec: as ``--codec``.
        overwrite: the run in the folder does not count.
        probed: finds the devices.

    Raises:
        UsageError: the device does not work here, be it asked for or that of the run in the folder.
    """
    require_names(device, codec)
    with refusals_told(folder):
        state = None if overwrite or not folder.is_dir() else RunFolder(open_store(folder)).state()
    if state is None:
        return resolve(device, codec, probed)
    kind, codec_then = _backend(state.config, folder)
    if device == "auto":
        return _again(folder, kind, codec_then if codec == "auto" else codec, probed)
    same_kind = device.partition(":")[0] == kind
    return resolve(device, codec_then if same_kind and codec == "auto" else codec, probed)


def kept_device(config: Mapping[str, Any], folder: Path | str, probed: Callable[[], Probe] = probe) -> Device:
    """The device of a configuration. Raises :class:`UsageError` if it does not work here."""
    return _again(folder, *_backend(config, folder), probed)


def _again(folder: Path | str, kind: str, codec: str, probed: Callable[[], Probe]) -> Device:
    if kind == "cpu":
        resolve("cpu", codec)
        return Device(sentence="cpu (cuda not used: the run in DST was begun without it)")
    return resolve("cuda", codec, probed, kept=f"{folder}: was begun on CUDA and stays with it; here that")


def _backend(config: Mapping[str, Any], folder: Path | str) -> tuple[str, str]:
    """(``--device``, ``--codec``) of a configuration."""
    backend = config.get("backend")
    if isinstance(backend, Mapping):
        kind, codec = backend.get("device"), backend.get("codec")
        if kind in ("cpu", "cuda") and codec in tuple(_CODECS) and (kind == "cuda" or codec == "cpu"):
            return kind, _CODECS[codec]
    raise UsageError(
        f"{folder}/run.json: backend is not as docs/format.md has it; choose another DST, or remove the folder"
    )
