"""``benchmarks/gpu.py`` in its dry run: every part that needs no device runs, and a wrong kernel fails it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cpu_accelerator import compiler
from places import ROOT

CALL = [
    sys.executable,
    str(ROOT / "benchmarks" / "gpu.py"),
    "--cpu",
    "--pictures",
    "3",
    "--batch",
    "2",
    "--repeat",
    "1",
]

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler to build the kernels with"),
]


def call(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CALL, "--out", str(out), *more], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "results" / "gpu"
    done = call(out, "--only", "parity,kernels,codecs,files_to_files")
    assert done.returncode == 0, done.stderr
    return json.loads(out.with_suffix(".json").read_text()), out.with_suffix(".md").read_text()


def test_every_section_has_its_rows(found):
    results, _ = found
    names = {(row["section"], row["name"]) for row in results["rows"]}
    for kernel in (
        "flip",
        "warp",
        "colour",
        "noise",
        "warp + colour + noise",
        "blur",
        "erase",
        "jpeg",
        "recipe detection",
    ):
        assert {("kernels", kernel), ("host part", kernel), ("pixel stage", kernel)} <= names
    assert ("kernels", "copy") in names
    assert ("end to end", "device with the CPU's codec") in names
    assert ("end to end", "CPU, 1 core") in names
    for row in results["rows"]:
        assert 0 < row["least_us"] <= row["median_us"] <= row["most_us"]
        assert (row["repeats"], row["clock"]) == (1, "wall")
    if "nvImageCodec" not in results["skipped"]:
        assert {("codec", f"{what}, nvImageCodec") for what in ("decode", "encode", "transcode")} <= names


def test_the_kernels_are_equal_to_the_cpu(found):
    results, _ = found
    assert len(results["parity"]) >= 9
    assert {(p["equal"], p["greatest"]) for p in results["parity"]} == {(1.0, 0)}


def test_hardware_versions_and_commit_are_told(found):
    results, table = found
    facts = results["facts"]
    assert facts["device"] == "none (--cpu)"
    assert facts["cores"] == os.cpu_count()
    assert facts["versions"]["numpy"]
    assert set(facts["seconds"]) == {"parity", "kernels", "codecs", "files_to_files"}
    assert len(results["goals"]) == 4
    assert results["goals"][2]["found"] == "not measured"
    assert table.count("| end to end | ") >= 2


def test_what_cannot_be_tried_is_listed_and_what_is_no_section_refused(tmp_path):
    (tmp_path / "kornia.py").write_text("raise ImportError('Kornia is not here')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    out = tmp_path / "gpu"
    done = subprocess.run(
        [*CALL, "--out", str(out), "--only", "kornia"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "kornia: Kornia is not here" in done.stderr
    assert json.loads(out.with_suffix(".json").read_text())["skipped"] == {"kornia": "Kornia is not here"}
    assert call(out, "--only", "other").returncode == 2
    assert call(out, str(tmp_path)).returncode == 2  # a folder without JPEGs


BREAK = """
import sys
sys.path.insert(0, "benchmarks")
import gpu_ours
real = gpu_ours.apply
gpu_ours.apply = lambda picture, steps: real(picture, steps) ^ 1
import gpu
sys.argv = {argv!r}
gpu.main()
"""


def test_a_difference_from_the_cpu_fails_the_call(tmp_path):
    argv = ["gpu.py", *CALL[2:], "--out", str(tmp_path / "gpu"), "--only", "parity"]
    done = subprocess.run(
        [sys.executable, "-c", BREAK.format(argv=argv)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not equal to the CPU: recipe detection, flip, warp" in done.stderr


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a driver here")
def test_without_a_device_it_says_so_at_once(tmp_path):
    command = [argument for argument in CALL if argument != "--cpu"]
    done = subprocess.run([*command, "--out", str(tmp_path / "gpu")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no CUDA device that works" in done.stderr
    assert not (tmp_path / "gpu.json").exists()
