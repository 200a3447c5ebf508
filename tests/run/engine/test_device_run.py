"""Whole runs on a device that is none: the bytes of the CPU, wherever and however often they are made."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cpu_accelerator import compiler
from fake_device import Fake, device, put_in_place
from format_checker import check_folder
from runs import Listening, hashes, run

from augpipe.core.errors import RunError, UsageError
from augpipe.pixels import factory
from augpipe.pixels.cuda.select import Device
from augpipe.pixels.factory import WorkerSlot
from augpipe.recipe.load import load
from augpipe.run.augment import Execution, RunOptions, Summary, augment

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler to build the kernels with")


@pytest.fixture(scope="module")
def calm(voc, tmp_path_factory) -> dict[str, str]:
    """The shards of the CPU."""
    folder = tmp_path_factory.mktemp("calm") / "out"
    run(voc, folder, copies=2)
    return hashes(folder)


def on_device(source: Path, folder: Path, *indexes: int, **how: Any) -> tuple[Summary, Listening]:
    listener = Listening()
    options = RunOptions(copies=2, device=device(*indexes))
    done = augment(str(source), folder, load("detection"), options, execution=Execution(**how), watcher=listener)
    return done, listener


@pytest.mark.parametrize("workers", [0, 2])
def test_the_tars_are_those_of_the_cpu(voc, calm, tmp_path, monkeypatch, workers):
    put_in_place(monkeypatch, Fake())
    summary, _ = on_device(voc, tmp_path / "out", workers=workers)
    assert summary.failed is None
    assert hashes(tmp_path / "out") == calm
    assert check_folder(tmp_path / "out") == []
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["config"]["backend"] == {"device": "cuda", "codec": "cpu"}


@pytest.mark.parametrize("recipe", ["segmentation", "keypoints"])
def test_other_recipes_and_labels_too(coco, tmp_path, monkeypatch, recipe):
    run(coco, tmp_path / "cpu", recipe, copies=3)
    put_in_place(monkeypatch, Fake(budget=300_000))
    run(coco, tmp_path / "device", recipe, copies=3, device=device())
    assert hashes(tmp_path / "device") == hashes(tmp_path / "cpu")


def test_processes_are_dealt_to_the_devices_in_turn(voc, calm, tmp_path, monkeypatch):
    (tmp_path / "seats").mkdir()
    put_in_place(monkeypatch, Fake(seats=tmp_path / "seats"))
    on_device(voc, tmp_path / "out", 0, 3, workers=3)
    assert hashes(tmp_path / "out") == calm
    seats = sorted(name.split(",")[0] for name in os.listdir(tmp_path / "seats"))
    assert seats == ["cuda 0 of 2", "cuda 0 of 2", "cuda 3 of 1"]


def test_how_many_processes_there_are(monkeypatch):
    monkeypatch.setattr(factory, "cores", lambda: 16)
    assert factory.processes_for(Device()) == 16
    assert factory.processes_for(device(0, 1)) == 8
    assert factory.processes_for(replace(device(0, 1), codec="nvimgcodec")) == 8
    monkeypatch.setattr(factory, "cores", lambda: 2)
    assert factory.processes_for(device(0, 1, 2)) == 3


def test_every_process_has_its_share_of_a_device(monkeypatch):
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "augpipe.pixels.cuda.backend.on_cuda", lambda i, codec, options, sharing: seen.append((i, sharing))
    )
    for number in range(5):
        factory.backend_for(device(4, 7), RunOptions().picture, WorkerSlot(number, 5))  # type: ignore[arg-type]
    assert seen == [(4, 3), (7, 2), (4, 3), (7, 2), (4, 3)]


def test_what_the_cpu_did_for_want_of_memory_is_in_the_record(voc, calm, tmp_path, monkeypatch):
    put_in_place(monkeypatch, Fake(limit=10_000))
    on_device(voc, tmp_path / "out", workers=0)
    assert hashes(tmp_path / "out") == calm
    records = [json.loads(path.read_bytes()) for path in (tmp_path / "out").glob("all-*.json")]
    told = [row for record in records for row in record["run"]["fallbacks"]]
    assert {row["stages"] for row in told} == {"pixels"}
    assert {row["source"] for row in told} <= {key for record in records for key in record["task"]["sources"]}
    assert check_folder(tmp_path / "out") == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_device_that_no_process_would_use_is_an_error(voc, tmp_path, monkeypatch, workers):
    put_in_place(monkeypatch, Fake())
    with pytest.raises(UsageError, match=rf"^--workers {workers}: 2 devices need a process each; expected 2 or more"):
        on_device(voc, tmp_path / "out", 3, 5, workers=workers)
    assert not (tmp_path / "out").exists()


# --- faults ----------------------------------------------------------------------------------------------------------


def failing(voc: Path, marks: Path, times: int, how: str = "fail") -> Fake:
    marks.mkdir()
    return Fake(victim=(voc / "JPEGImages" / "img_004.jpg").stat().st_size, times=times, how=how, marks=marks)


def test_a_device_that_fails_under_a_worker_costs_an_attempt(voc, calm, tmp_path, monkeypatch):
    put_in_place(monkeypatch, failing(voc, tmp_path / "marks", 2))
    summary, listener = on_device(voc, tmp_path / "out", workers=2)
    assert (summary.failed, len(os.listdir(tmp_path / "marks"))) == (None, 2)
    assert hashes(tmp_path / "out") == calm
    said = r"all-00000\d: the device failed: C\+\+ build: RuntimeError: an illegal memory access.*; it is done again"
    assert [bool(re.fullmatch(said, sentence)) for sentence in listener.troubles] == [True, True]


@pytest.mark.parametrize(("how", "error"), [("fail", "crash"), ("hang", "timeout")])
def test_a_picture_under_which_the_device_fails_is_found_and_the_rest_goes_on(voc, tmp_path, monkeypatch, how, error):
    run(voc, tmp_path / "calm", copies=2, sources_per_shard=4)
    put_in_place(monkeypatch, failing(voc, tmp_path / "marks", 99, how))
    options = RunOptions(copies=2, sources_per_shard=4, device=device())
    summary = augment(
        str(voc), tmp_path / "out", load("detection"), options, execution=Execution(workers=2, patience=3.0)
    )
    assert (summary.rejects, summary.rejected, summary.written) == ({error: 1}, 2, 16)
    (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (row["source"], row["transient"]) == ("img_004.jpg", True)
    calm = hashes(tmp_path / "calm")
    assert [name for name, digest in hashes(tmp_path / "out").items() if calm[name] != digest] == [row["shard"]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_device_that_is_gone_is_one_error(voc, tmp_path, monkeypatch, workers):
    put_in_place(monkeypatch, Fake(how="dead"))
    with pytest.raises(RunError, match=r"^cuda:0 does not work: it fell off the bus"):
        on_device(voc, tmp_path / "out", workers=workers)
