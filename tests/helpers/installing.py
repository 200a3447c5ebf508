"""augpipe as its users have it: a wheel in an environment of its own; and what pyproject.toml says has to be there."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def names_of(extra: str | None = None) -> list[str]:
    """The packages of an extra, or those that are always installed, in their order."""
    listed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return [re.match(r"[\w.-]+", line)[0] for line in listed]


def listed_files() -> list[str]:
    """The files that git would publish."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def build_wheel(folder: Path) -> Path:
    """A wheel made from a copy of what git would publish, so that stray files and build folders cannot help."""
    source = folder / "source"
    for name in listed_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def install(wheel: Path, home: Path) -> Path:
    """Install the wheel, not editable, in a new environment; returns its ``augpipe`` command.

    What it depends on is taken from the environment of the tests, whose editable augpipe it does not see: .pth files
    are not followed twice.
    """
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = home / "bin" / "augpipe"
    call = "from augpipe.cli.start import main\n\nif __name__ == '__main__':\n    main()\n"
    command.write_text(f"#!{home}/bin/python\n{call}")
    command.chmod(0o755)
    return command
