"""Ultralytics' own reader asked about YOLO datasets, in a process of its own (``ultralytics_reader.py``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from places import HELPERS


def by_ultralytics(files: Sequence[Path], settings: Path) -> list[dict[str, Any]]:
    """What it reads of each ``data.yaml``; its settings go into a folder of the test."""
    settings.mkdir()
    places = {name: str(settings) for name in ("HOME", "YOLO_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    program = HELPERS / "ultralytics_reader.py"
    answer = subprocess.run(
        [sys.executable, program, *map(str, files)],
        capture_output=True, text=True, check=False, env={**os.environ, **places, "YOLO_OFFLINE": "true"},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(answer.stdout.splitlines()[-1])
    return found
