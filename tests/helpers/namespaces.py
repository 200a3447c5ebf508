"""A mount namespace for one command, in which folders of the machine are hidden or small."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Sequence

_IN = ("unshare", "--mount", "sh", "-c")


def mounted(mount: str, command: Sequence[object]) -> list[str]:
    """The command that runs ``command`` behind a mount, such as ``mount -t tmpfs tmpfs /usr/local``."""
    return [*_IN, f'{mount} && exec "$@"', "sh", *map(str, command)]


@functools.cache
def can_mount() -> bool:
    """Whether the system lets this user have one."""
    if shutil.which("unshare") is None:
        return False
    tried = mounted("mount -t tmpfs tmpfs /mnt", ["true"])
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0
