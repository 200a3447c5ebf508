"""Archives of folders, made with tarfile and zipfile alone."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

FORMS = ("tar", "stored.zip", "deflated.zip")


def packed(folder: Path, path: Path, prefix: str = "") -> Path:
    """An archive of everything in a folder, in the form that its name says; ``prefix`` goes before each name."""
    files = {f"{prefix}{p.relative_to(folder).as_posix()}": p.read_bytes() for p in sorted(folder.rglob("*"))
             if p.is_file()}  # fmt: skip
    if path.suffix == ".zip":
        way = zipfile.ZIP_STORED if "stored" in path.name else zipfile.ZIP_DEFLATED
        return write_zip(path, files, way)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name in files:
            tar.add(folder / name.removeprefix(prefix), name)
    return path


def write_zip(
    path: Path, files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], way: int = zipfile.ZIP_DEFLATED
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, data in dict(files).items() if isinstance(files, Mapping) else files:
            archive.writestr(name, data)
    return path
