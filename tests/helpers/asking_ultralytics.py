"""Ultralytics' own reader asked about YOLO datasets, in a process of its own (``ultralytics_reader.py``)."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO, Any

from places import HELPERS


@cache
def _reader() -> tuple[subprocess.Popen[str], IO[str]]:
    """A process that answers all tests, as it takes seconds to load, and the file of what it complains of."""
    stack = ExitStack()
    atexit.register(stack.close)
    settings = stack.enter_context(tempfile.TemporaryDirectory(prefix="ultralytics-"))
    said = stack.enter_context((Path(settings) / "stderr").open("w+"))
    places = dict.fromkeys(("HOME", "YOLO_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), settings)
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, HELPERS / "ultralytics_reader.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            env={**os.environ, **places, "YOLO_OFFLINE": "true"},
        )
    )  # fmt: skip
    return process, said


def by_ultralytics(files: Sequence[Path]) -> list[dict[str, Any]]:
    """What it reads of each ``data.yaml``; its settings lie in a folder of its own."""
    process, said = _reader()
    process.stdin.write(json.dumps([str(file) for file in files]) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        _reader.cache_clear()  # the next test gets another one
        process.wait()
        said.seek(0)
    assert answer, said.read()[-4000:]
    found: list[dict[str, Any]] = json.loads(answer)
    return found
