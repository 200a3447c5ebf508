"""Ultralytics takes every picture that augment and convert make of objects at the edge; our rule of rows is its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
import yaml
from asking_ultralytics import by_ultralytics
from builders import write_picture
from command_line import call
from conversions import coco_of, done, row
from oracles import oracle_is_there
from places import SHARED

from augpipe.formats.yolo.rows import is_taken

pytestmark = [pytest.mark.slow, oracle_is_there("ultralytics")]

CROPS = "version: 1\nlabels: {obb: %s}\nsteps:\n  - random_crop: {size: [100, 75]}\n"


def aerial(folder: Path, over: float = 0.0) -> Path:
    """DOTA: three pictures of ships at any angle; ``over`` is the share of those that the source's own frame cuts."""
    rng = np.random.default_rng(8)
    (folder / "labelTxt").mkdir(parents=True)
    for stem, size in (("P1", (400, 300)), ("P2", (200, 260)), ("P3", (160, 120))):
        write_picture(folder / "images" / f"{stem}.png", size)
        frame, lines = shapely.box(0, 0, *size), []
        while len(lines) < 14:
            centre, angle = rng.uniform(-0.1, 1.1, 2) * size, rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            half = rng.uniform((8, 4), (min(size) / 2, min(size) / 6))
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + centre
            if frame.covers(shapely.Polygon(corners)) or rng.random() < over:
                lines.append(" ".join(f"{v:.2f}" for v in corners.reshape(-1)) + " ship 0")
        (folder / "labelTxt" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    return folder


def converted(source: Path, folder: Path, recipe: Path | str, copies: int, *more: object) -> tuple[Path, str]:
    run = call("augment", source, folder / "run", "-r", recipe, "--copies", copies, "--seed", 1, "-w", 0, *more)
    assert run.exit_code == 0, run.output
    return folder / "yolo" / "data.yaml", done("shards-to-yolo", folder / "run", folder / "yolo", "--kind", "obb")


def pictures(found) -> dict[str, int]:
    return {name: found["splits"]["train"][name] for name in ("corrupt", "total")}


def test_every_picture_of_an_augmented_aerial_set(tmp_path):
    """By the shipped recipe, by small windows, by each rule for oriented boxes; and the originals with it."""
    inside, over = aerial(tmp_path / "inside"), aerial(tmp_path / "over", 0.4)
    sets = {"detection": converted(inside, tmp_path / "a", "detection", 8),
            "over": converted(over, tmp_path / "b", "detection", 8, "--originals")}  # fmt: skip
    for rule in ("clip", "keep", "drop_centre"):
        recipe = tmp_path / f"{rule}.yaml"
        recipe.write_text(CROPS % rule)
        sets[rule] = converted(inside, tmp_path / rule, recipe, 60 if rule == "clip" else 20)
    if (SHARED / "mmrotate").is_dir():
        sets["mmrotate"] = converted(SHARED / "mmrotate" / "tests" / "data", tmp_path / "m", "detection", 8)
    reads = by_ultralytics([file for file, _ in sets.values()])
    for name, found in zip(sets, reads, strict=True):
        total = {"detection": 24, "over": 27, "mmrotate": 8, "clip": 180}.get(name, 60)
        assert pictures(found) == {"corrupt": 0, "total": total}, (name, found["splits"]["train"]["messages"][:3])
    said = {name: out for name, (_, out) in sets.items()}
    assert all("that Ultralytics leaves out" not in out for out in said.values())
    cut = [name for name, out in said.items() if "objects cut to the picture" in out]
    assert cut == ["over", "keep", "drop_centre"]


KINDS = {"detect": 4, "obb": 8, "segment": 12, "pose": 10}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """For each kind: rows of numbers, clearly by the rule or clearly not, and which of them Ultralytics takes."""
    folder, rng = tmp_path_factory.mktemp("rule"), np.random.default_rng(4)
    rows: dict[str, list[list[float]]] = {}
    for kind, width in KINDS.items():
        rows[kind] = [rng.uniform(-0.3, 1.3, width).tolist() for _ in range(150)]
        rows[kind] += [rng.uniform(0.05, 0.95, width).tolist() for _ in range(20)]
        if kind == "pose":  # x, y and v of two keypoints behind the box
            for numbers in rows[kind]:
                numbers[:4] = rng.uniform(0.2, 0.8, 4).tolist()
                numbers[6::3] = [float(v) for v in rng.integers(0, 3, 2)]
        for number, numbers in enumerate(rows[kind]):
            name = folder / kind / "labels" / f"{number:03d}.txt"
            write_picture(folder / kind / "images" / f"{number:03d}.png", (20, 16))
            name.parent.mkdir(exist_ok=True)
            name.write_text(" ".join(map(str, [0, *numbers])) + "\n")
        data = {"train": "images", "val": "images", "nc": 1, "names": {0: "a"}, "task": kind}
        data |= {"kpt_shape": [2, 3]} if kind == "pose" else {}
        (folder / kind / "data.yaml").write_text(yaml.safe_dump(data))
    found = by_ultralytics([folder / kind / "data.yaml" for kind in KINDS])
    taken = [{int(Path(name).stem) for name in read["splits"]["train"]["pictures"]} for read in found]
    return {kind: (rows[kind], numbers) for kind, numbers in zip(KINDS, taken, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
def test_our_rule_of_a_row_is_theirs(answers, kind):
    """But for the hundredth by which theirs is laxer since version 8.4."""
    rows, taken = answers[kind]
    ours = {i for i, numbers in enumerate(rows) if is_taken(numbers, kind)}
    assert ours <= taken
    assert {i for i in taken - ours if not almost(rows[i], kind)} == set()
    assert 10 < len(ours) < len(rows) - 10


def almost(numbers: list[float], kind: str) -> bool:
    """Whether a row is by the rule once it is brought nearer to the middle by what theirs is laxer."""
    if kind in ("obb", "segment"):
        points = np.array(numbers).reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        numbers = [*((low + high) / 2), *(high - low)]
    elif kind == "pose":
        numbers = [v for i, v in enumerate(numbers) if i < 4 or i % 3 != 0]
    return min(numbers) >= -0.011 and max(numbers) <= 1.011


def test_a_row_that_cannot_be_mended_is_counted_with_its_picture(tmp_path, monkeypatch):
    """Nothing is known that our writer could not mend, so a row is spoiled on its way to the file."""
    from augpipe.formats.yolo import write

    spoiled = {2}

    def row_of(objects, i, *more):
        numbers, changed = write_row(objects, i, *more)
        return ([1.2, *numbers[1:]] if int(objects.facts[i].id) in spoiled else numbers), changed

    write_row = write.row_of
    monkeypatch.setattr(write, "row_of", row_of)
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in (1, 2)]
    for image in images:
        write_picture(tmp_path / image["file_name"], (40, 30))
    rows = [row(n, 1 + n // 3, [4, 5, 10 + n, 8]) for n in (1, 2, 3)]
    out = done("coco-to-yolo", coco_of(tmp_path / "a.json", images, rows), tmp_path / "set", "--workers", "0")
    assert "pictures that Ultralytics leaves out for one of their objects 1, as in 1.png, object 2" in out
    (found,) = by_ultralytics([tmp_path / "set" / "data.yaml"])
    assert pictures(found) == {"corrupt": 1, "total": 2}
