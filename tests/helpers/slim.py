"""Install augpipe on a slim machine and run what README says there; ``make slim``.

The machine is a minimal Debian in a folder: no libraries of a desktop, no compiler, an ordinary user without a home.
The plain install is tried, without torch, inside a checkout and elsewhere. It takes root, ``unshare`` and
``mmdebstrap``; where they are not there, one line says so.

    python tests/helpers/slim.py [SUITE [OPTION …]]     bookworm (Python 3.11), trixie (3.13), sid (3.14);
                                                    options of mmdebstrap
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import datasets
from conversions import yolo_of
from documents import commands
from installing import ROOT, build_wheel, listed_files
from packing import packed

PYTHONS = {"bookworm": "3.11", "trixie": "3.13", "sid": "3.14"}
MOST_MEGABYTES = 350
USER = 1000

STEPS = """
set -eu
cd /tmp
python3 -m venv env
env/bin/pip install --quiet --no-index --find-links /srv/wheels augpipe
size=$(du -sm env | cut -f1)
echo "installed: $size MB"
test "$size" -le {most}
for place in /srv/clone /srv/elsewhere; do
    cd "$place"
    {commands}
    /tmp/env/bin/python -c 'import augpipe.train.dataset' 2>&1 | tail -2 | grep -q "^pip install 'torch"
    echo "README's commands work in $place"
done
cd /srv/elsewhere
code=0
/tmp/env/bin/augpipe augment data/voc s3://bucket/out --recipe gentle || code=$?
test "$code" = 2
test ! -e s3:
cat > script.py <<'END'
import augpipe
done = augpipe.augment("data/voc", "by_script", "detection")
print("by a script without a guard:", done.written, "samples")
END
/tmp/env/bin/python script.py
"""


def missing() -> str | None:
    """What keeps this machine from making another."""
    if os.geteuid() != 0:
        return "this takes root"
    return next((f"{name} is not installed" for name in ("mmdebstrap", "unshare") if shutil.which(name) is None), None)


def make_machine(root: Path, suite: str, options: Sequence[str]) -> None:
    """A minimal Debian with Python, a checkout, datasets and the wheels of augpipe and all that it needs."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv", *options, suite]
    subprocess.run([*command, str(root)], check=True)
    wheels, clone, elsewhere = root / "srv/wheels", root / "srv/clone", root / "srv/elsewhere"
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        wheels.mkdir(parents=True)
        shutil.copy(wheel, wheels)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version"]
        constraints = ["--constraint", str(ROOT / "constraints.txt"), "--dest", str(wheels)]
        subprocess.run([*download, PYTHONS[suite], *constraints, str(wheel)], check=True)
    for name in listed_files():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    for place in (clone, elsewhere):
        datasets.make_voc(place / "data" / "voc", lists=("train", "val"))
        datasets.make_coco(place / "data" / "coco")
        yolo_of(place / "data" / "yolo", train__a="0 .5 .5 .2 .2\n", train__b="1 .5 .5 .2 .2\n")
        packed(place / "data" / "voc", place / "data" / "voc.tar")
    for path in (clone, elsewhere, *clone.rglob("*"), *elsewhere.rglob("*")):
        os.chown(path, USER, USER)


def steps() -> str:
    """The script that runs there."""
    wanted = [line for line in commands((ROOT / "README.md").read_text("utf-8")) if line.startswith("augpipe ")]
    assert len(wanted) >= 8
    lines = [f"/tmp/env/bin/{line} > /tmp/said 2>&1 || {{ cat /tmp/said; exit 1; }}" for line in wanted]
    return STEPS.format(most=MOST_MEGABYTES, commands="\n    ".join(lines))


def run_there(root: Path, script: str) -> int:
    """Run a script as the ordinary user; its exit code."""
    (root / "srv/steps.sh").write_text(script)
    inside = f"chroot --userspec={USER}:{USER} {root} /usr/bin/env -i PATH=/usr/bin:/bin sh /srv/steps.sh"
    mounts = f"mount -t proc proc {root}/proc && mount -t tmpfs -o size=64m,mode=1777 tmpfs {root}/dev/shm"
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", f"{mounts} && exec {inside}"]
    return subprocess.run(command, check=False).returncode


def main(suite: str = "bookworm", *options: str) -> int:
    """Make the machine, run README there, take it away."""
    if why := missing():
        print(f"slim: not tried, {why}")
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slim-") as folder:
        root = Path(folder) / "root"
        root.mkdir(mode=0o755)
        Path(folder).chmod(0o755)
        make_machine(root, suite, options)
        code = run_there(root, steps())
    print(f"slim: {suite} {'works' if code == 0 else f'ended with {code}'}, {time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
