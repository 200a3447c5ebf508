"""What the CPU's benchmarks share: where they write, and the facts that stand beside every number.

Nothing here loads NumPy, so that a program can pin its threads before it does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HERE = ROOT / "benchmarks"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OPENCV_NUM_THREADS")
PACKAGES = (
    "augpipe", "numpy", "opencv-python-headless", "torch", "torchdata", "webdataset", "pillow", "pycocotools",
)  # fmt: skip
PEERS = ("albumentations", "albucore", "torchvision", "kornia", "imgaug", "nvidia-dali-cuda120")


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """With the options of every program; results go to the folder of results under ``name``."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--photos", type=Path, help="a folder of JPEGs; those of scikit-image if not given")
    made.add_argument("--out", type=Path, default=HERE / "results" / name, help="without ending")
    made.add_argument("--quick", action="store_true", help="small pictures and one round: whether it runs at all")
    return made


def at_least_one(text: str) -> int:
    """A whole number from 1 on, for a parser."""
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def write(out: Path, result: dict[str, Any], page: Callable[[dict[str, Any]], str]) -> None:
    """OUT.json, and OUT.md for people."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    out.with_suffix(".md").write_text(page(result), "utf-8")


def facts(peers: Path) -> dict[str, Any]:
    """Machine, versions and commit."""
    beside = {d.metadata["Name"].lower(): d.version for d in metadata.distributions(path=[str(peers)])}
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions | {name: beside[name] for name in PEERS if name in beside},
        "commit": git("rev-parse", "HEAD"),
        "changed_since": bool(git("status", "--porcelain")),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "command": shlex.join(["python", *sys.argv]),
    }


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def git(*arguments: str) -> str:
    """What git says in the checkout; ``unknown`` where there is none."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def peers_folder() -> Path:
    """Where `make peers` has put the libraries; those of the tests do where it has not run."""
    found = [Path(sys.prefix) / name for name in ("peers", "oracles")]
    return next((folder for folder in found if folder.is_dir()), found[0])
