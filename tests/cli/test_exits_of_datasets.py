"""Exit codes of commands for windows and datasets say what became of the work, whatever becomes of their streams.

The commands of test_exits.py are new processes; these are forked from one that has everything loaded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import datasets
import pytest
from builders import contents
from forked_commands import STATES
from places import HELPERS
from runs import run

# What a command is called with, and the code that is the truth.
CASES = {
    "augment to": ("augment {voc} {new} -r gentle -w 0 --to yolo --val 50%", 0),
    "augment to, damaged": ("augment {damaged} {new} -r gentle -w 0 --to coco --max-rejects 0", 1),
    "tile": ("tile {voc} {new} --size 64 -w 0", 0),
    "crops": ("crops {voc} {new} -w 0 --to voc", 0),
    "replay": ("replay {shards} {key} --against {voc} -o {new}.jpg", 0),
    "replay, other bytes": ("replay {spoilt} {key} --against {voc}", 1),
    "to shards": ("convert voc-to-shards {voc} {new} -w 0", 0),
    "merge": ("dataset merge {voc} {damaged} {new} -w 0", 0),
    "filter, nothing left": ("dataset filter {voc} {new} --min-side 5000 --keep-empty 0% -w 0", 1),
    "rename": ("dataset rename {voc} {new} --map cat=dog -w 0", 0),
    "split, no share": ("dataset split {voc} {new}", 2),
}


def states_of(case: str) -> list[str]:
    """One function looks after the streams of all commands, so each gets a full disk and one state more."""
    others = [state for state in STATES if state not in ("calm", "stdout full")]
    return ["calm", "stdout full", others[list(CASES).index(case) % len(others)]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, bytes]]]:
    """(case, state) → how it ended, and what it made."""
    folder = tmp_path_factory.mktemp("places")
    places = {name: folder / name for name in ("voc", "damaged", "shards", "spoilt")}
    datasets.make_voc(places["voc"], 3)
    shutil.copytree(places["voc"], places["damaged"])
    (places["damaged"] / "JPEGImages" / "img_002.jpg").write_bytes(b"")
    run(places["voc"], places["shards"], "gentle")
    with tarfile.open(places["shards"] / "all-000000.tar") as tar:
        picture = tar.getmembers()[0]
    shutil.copytree(places["shards"], places["spoilt"])
    data = bytearray((places["spoilt"] / "all-000000.tar").read_bytes())
    data[picture.offset_data + 300] ^= 1
    (places["spoilt"] / "all-000000.tar").write_bytes(data)
    asked = [(case, state) for case in CASES for state in states_of(case)]
    lines = []
    for number, (case, state) in enumerate(asked):
        new = folder / str(number) / "new"
        new.parent.mkdir()
        key = picture.name.partition(".")[0]
        lines.append((CASES[case][0].format(new=new, key=key, **places).split(), state))
    command = [sys.executable, str(HELPERS / "forked_commands.py")]
    done = subprocess.run(command, input=json.dumps(lines), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    made = [_promised(folder / str(number)) for number in range(len(asked))]
    return dict(zip(asked, zip(found, made, strict=True), strict=True))


def _promised(place: Path) -> dict[str, bytes]:
    """The files that a command has made; of books, which tell of this very call, only that they are there."""
    return {
        name: b"" if name.endswith(".json") and "annotations" not in name else data
        for name, data in contents(place).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_is_that_of_the_work_in_any_state_of_the_streams(ended, case):
    for state in states_of(case):
        how, made = ended[case, state]
        said = f"{state}: {how['out']}{how['err']}"
        assert how["code"] == CASES[case][1], said
        assert "Traceback" not in said
        assert "please report" not in said
        assert made == ended[case, "calm"][1], state
        assert ("what was printed is lost" in how["err"]) == (
            state == "stdout full" and bool(ended[case, "calm"][0]["out"])
        )
