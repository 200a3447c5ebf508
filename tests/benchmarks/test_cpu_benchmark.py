"""``benchmarks/cpu.py`` and its kin: every part runs, peers move labels rightly, and the page reckons rightly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import ROOT
from pycocotools import mask as coco_mask
from runs import samples

from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled

BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import about  # noqa: E402
import contest  # noqa: E402
import cpu_page  # noqa: E402
import material  # noqa: E402

SIZE_WH = (96, 72)
PEERS = {
    "with_albumentations": "albumentations",
    "with_torchvision": "torchvision",
    "with_imgaug": "imgaug",
    "with_kornia": "kornia",
    "with_dali": "nvidia/dali",
}

OFF = {"with_kornia": 1.0}  # it mirrors indexes of pixels, x → W − 1 − x, so a box comes out a pixel to the left


def program(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    environment = contest.environment(about.peers_folder())
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def datasets_of_peers(tmp_path_factory):
    place = tmp_path_factory.mktemp("material")
    material.voc(place / "voc", None, SIZE_WH, 3)
    material.coco(place / "coco", None, SIZE_WH, 2)
    (place / "mirror.yaml").write_text("version: 1\nsteps:\n  - horizontal_flip: {p: 1}\n")
    return place


# --- the peers -------------------------------------------------------------------------------------------------------


@pytest.mark.bench
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("kind", "cached"), [("voc", False), ("coco", True)])
def test_a_peer_mirrors_pictures_and_labels(peer, kind, cached, datasets_of_peers, tmp_path):
    """A mirror image by NumPy and by W − x is the oracle."""
    if not (about.peers_folder() / PEERS[peer]).is_dir():
        pytest.skip(f"{PEERS[peer]} is not installed (`make peers` brings it)")
    if (peer, kind) == ("with_dali", "coco"):
        pytest.skip("DALI has no masks of objects")
    source, out = datasets_of_peers / kind, tmp_path / "out"
    recipe = datasets_of_peers / "mirror.yaml"
    arguments = ["--recipe", recipe, "--copies", 2, "--workers", 1, *(["--cached"] if cached else [])]
    done = program(f"peers/{peer}.py", source, out, *arguments)
    assert done.returncode == 0, done.stderr
    found = samples(out)
    pictures = sorted(source.rglob("*.jpg"))
    assert sorted(found) == [f"{path.stem}-c{copy:03d}" for path in pictures for copy in range(2)]
    originals = originals_of(source)
    for key, files in found.items():
        stem = key.split("-")[0]
        record = json.loads(files["json"])
        picture = cv2.imdecode(np.frombuffer(files["jpg"], np.uint8), cv2.IMREAD_COLOR)
        mirrored = cv2.imread(str(next(path for path in pictures if path.stem == stem)))[:, ::-1]
        assert np.abs(picture.astype(int) - mirrored).mean() < 4.0  # JPEG again
        boxes, masks = originals[stem]
        expected = np.stack([SIZE_WH[0] - boxes[:, 2], boxes[:, 1], SIZE_WH[0] - boxes[:, 0], boxes[:, 3]], axis=1)
        moved = [thing["box_xyxy"] for thing in record["objects"]]
        assert np.allclose(moved, expected, atol=OFF.get(peer, 0.0) + 0.01)
        for thing, mask in zip(record["objects"], masks, strict=False):
            assert (coco_mask.decode(thing["segmentation"]) == mask[:, ::-1]).mean() > 0.99


def originals_of(source: Path) -> dict[str, tuple[np.ndarray, list[np.ndarray]]]:
    """Stem → boxes (N, 4) and masks, read another way than the peers do."""
    from augpipe.formats.base import SourceOptions
    from augpipe.formats.registry import open_dataset

    dataset = open_dataset(str(source), SourceOptions())
    out = {}
    for entry in dataset.entries:
        objects = dataset.reader.annotations(entry).objects
        masks = []
        if source.name == "coco":
            document_ = json.loads((source / "annotations" / "instances.json").read_text())
            image = next(row["id"] for row in document_["images"] if row["file_name"] == Path(entry.key).name)
            shapes = [row["segmentation"] for row in document_["annotations"] if row["image_id"] == image]
            masks = [decoded(shape) for shape in shapes]
        out[Path(entry.key).stem] = (objects.boxes_xyxy, masks)
    return out


def decoded(shape) -> np.ndarray:
    code = shape if isinstance(shape, dict) else coco_mask.merge(coco_mask.frPyObjects(shape, SIZE_WH[1], SIZE_WH[0]))
    return coco_mask.decode(code)


@pytest.mark.bench
def test_a_peer_says_what_it_cannot(datasets_of_peers, tmp_path):
    recipe = tmp_path / "other.yaml"
    recipe.write_text("version: 1\nsteps:\n  - rotate90: {times: 1}\n")
    done = program("peers/with_albumentations.py", datasets_of_peers / "voc", tmp_path / "out", "--recipe", recipe)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("Albumentations is not installed")
    assert done.returncode == contest.CANNOT
    assert done.stderr.strip().splitlines()[-1] == "Albumentations: nothing like rotate90"


@pytest.mark.parametrize("workload", contest.WORKLOADS, ids=lambda one: one.name)
def test_the_recipes_load(workload):
    assert compiled(yaml_reader.read(workload.recipe.name, workload.recipe.read_text("utf-8")), workload.name)


# --- the contest -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "results" / "cpu"
    contenders = "augpipe,decode once + encode,Albumentations"
    arguments = ["--only", "segmentation", "--copies", 2, "--contenders", contenders, "--out", out]
    done = program("cpu.py", "--quick", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(out.with_suffix(".json").read_text()), out


@pytest.mark.bench
def test_every_cell_has_a_run_or_a_reason(quick):
    found, out = quick
    assert len(found["cells"]) == 3
    for cell in found["cells"]:
        if cell["contender"] == "Albumentations" and cell["why"]:
            assert "albumentations" in cell["why"]
            continue
        assert cell["why"] == ""
        assert cell["samples"] == 2 * found["workloads"][cell["workload"]]["pictures"]
        assert len(cell["wall"]) == len(cell["processor"]) == len(cell["rounds"]) == 1
        assert cell["wall"][0] > 0
    ours = next(cell for cell in found["cells"] if cell["contender"] == "augpipe")
    if found["facts"]["processor_time_of_all_processes"]:
        assert ours["processor"][0] > 0.3  # it has loaded OpenCV at least
    assert found["facts"]["versions"]["augpipe"]
    assert "mean nothing" in out.with_suffix(".md").read_text("utf-8")
    plot = cv2.imread(str(out.with_suffix(".png")))
    assert plot.shape[1] == 1180
    assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 10


@pytest.mark.bench
def test_a_program_that_makes_too_few_samples_has_no_result(tmp_path, datasets_of_peers):
    (tmp_path / "lazy.py").write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).mkdir()")
    lazy = contest.Contender("lazy", lambda task, out: [sys.executable, str(tmp_path / "lazy.py"), str(out)])
    task = contest.Task(datasets_of_peers / "voc", contest.WORKLOADS[0].recipe, 1, 1)
    found = contest.run(lazy, task, tmp_path / "out", tmp_path, samples=3)
    assert found.why == "made 0 samples of 3"
    gone = contest.Contender("gone", lambda task, out: [sys.executable, "-c", "import no_such_module"])
    assert contest.run(gone, task, tmp_path / "out", tmp_path).cannot


def test_what_is_no_contender_is_refused():
    done = program("cpu.py", "--contenders", "augpipe,Alchemy")
    assert done.returncode == 1
    assert "Alchemy: expected some of" in done.stderr


@pytest.mark.bench
def test_operations_run(tmp_path):
    out = tmp_path / "operations"
    done = program("operations.py", "--quick", "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.with_suffix(".json").read_text())
    ours = {row["operation"] for row in found["operations"] if row["library"] == "augpipe"}
    assert {"decode", "encode", "affine", "noise", "jpeg"} <= ours
    for row in found["operations"]:
        assert row["why"] if "why" in row else all(us > 0 for us in row["us"])
    assert found["stages"].keys() == {workload.name for workload in contest.WORKLOADS}
    for stages in found["stages"].values():
        assert stages["all"] == pytest.approx(sum(ms for name, ms in stages.items() if name != "all"))
        assert {"decode", "encode", "draw", "move labels", "record"} <= stages.keys()
    assert "pixels: cutout" in found["stages"]["heavy"]
    assert "| affine | " in out.with_suffix(".md").read_text("utf-8")


@pytest.mark.bench
def test_scaling_runs(tmp_path):
    out = tmp_path / "scaling"
    done = program("scaling.py", "--quick", "--out", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.with_suffix(".json").read_text())
    assert [row["workers"] for row in found["workers"]] == [1]
    assert [row["pictures"] for row in found["pictures"]] == [2, 20]
    for row in (*found["workers"], *found["pictures"]):
        assert 20 < row["worker_mb"] < 2000
        assert 20 < row["parent_mb"] < 2000
    assert found["start"]["one_picture"]["median"] > found["start"]["help"]["median"] > 0
    assert "| 20 | " in out.with_suffix(".md").read_text("utf-8")


# --- the page --------------------------------------------------------------------------------------------------------


def made(ours, theirs, start=None):
    """A document with one peer; walls by round."""
    cells = [
        {"workload": "detection", "copies": 4, "contender": name, "kind": kind, "samples": 100, "rounds": [*walls],
         "wall": [*walls.values()], "processor": [2 * wall for wall in walls.values()],
         "why": "" if walls else "not here"}
        for name, kind, walls in (("augpipe", "augpipe", ours), ("Albumentations", "peer", theirs))
    ]  # fmt: skip
    starts = {name: {"wall": walls, "processor": walls} for name, walls in (start or {}).items()}
    document_ = {"cells": cells, "start": starts, "facts": {"processor": "x"}, "options": {"quick": False}}
    document_ |= {"workloads": {"detection": {"pictures": 25, "size_wh": [640, 480]}}}
    return {**document_, "goals": cpu_page.goals(document_)}


def test_ratios_are_those_of_runs_of_one_round():
    found = made({0: 1.0, 1: 2.0, 2: 4.0}, {0: 3.0, 2: 8.0})
    cell = found["cells"][1]
    assert cpu_page.ratios(found, cell) == [3.0, 2.0]
    assert cpu_page.ratios(found, cell, "processor") == [3.0, 2.0]
    assert found["goals"][0]["whole"] == 2.5
    assert found["goals"][1]["whole"] is None  # one copy was not run


def test_start_up_is_taken_off_where_there_is_enough_beside_it():
    found = made({0: 3.0, 1: 1.2}, {0: 6.0, 1: 6.0}, {"augpipe": [1.0], "Albumentations": [2.0, 2.0, 9.0]})
    assert cpu_page.ratios(found, found["cells"][1], "working") == [2.0]
    assert cpu_page.ratios(found, found["cells"][1], "processor") == [2.0, 10.0 / 1.4]


def test_losses_are_listed():
    found = made({0: 2.0}, {0: 1.0})
    lost = list(cpu_page.losses(found))
    assert lost[0] == "detection, 4 copies: Albumentations is ahead as a whole, augpipe has 0.50 of its rate"
    assert len(lost) == 3
    assert lost[0] in cpu_page.page(found)
    assert "0.50, missed" in cpu_page.page(found)
    assert list(cpu_page.losses(made({0: 1.0}, {0: 4.1}))) == []
    assert "4.10, met" in cpu_page.page(made({0: 1.0}, {0: 4.1}))
    assert "| Albumentations | not here |" in cpu_page.page(made({0: 1.0}, {}))
