"""What the tests of `augment --to` share: the command, and what is in the folder that it writes."""

from __future__ import annotations

from pathlib import Path

from builders import contents
from command_line import call

from augpipe.run.augment import Execution

HERE = Execution(workers=0)
PLAIN = ("--recipe", "detection", "--copies", 2, "--seed", 7, "--workers", 0)
HIDDEN = ".augpipe-run"


def made(source: Path, folder: Path, to: str, *more: object, code: int = 0) -> str:
    result = call("augment", source, folder, *PLAIN, "--to", to, *more)
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


def refused(source: Path, folder: Path, to: str, *more: object) -> str:
    before = contents(folder) if folder.is_dir() else None
    said = made(source, folder, to, *more, code=2)
    complaint = said[said.index("augpipe: ") :]
    assert len(complaint.splitlines()) <= 2
    assert (contents(folder) if folder.is_dir() else None) == before
    return complaint


def dataset(folder: Path) -> dict[str, bytes]:
    """The files of the dataset alone."""
    return {name: data for name, data in contents(folder).items() if not name.startswith(f"{HIDDEN}/")}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}
