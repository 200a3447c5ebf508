"""A color operation is one file: the listing in CONTRIBUTING.md is loaded as it stands, and works everywhere."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import coco, image, row, write_json
from PIL import Image
from places import ROOT
from recipe_tools import recipe_of
from runs import run, samples

from augpipe.core.errors import RecipeError
from augpipe.pixels.codec.image import PictureFormat
from augpipe.recipe import reference_docs
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.schema import recipe_schema

SECTION = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a color operation\n")[1].split("\n## ")[0]
(LISTING,) = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
NAME = "augpipe.recipe.ops.amber"


@pytest.fixture
def amber(tmp_path):
    """The class of the listing, registered for one test."""
    path = tmp_path / "amber.py"
    path.write_text(LISTING, "utf-8")
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
        yield OPERATIONS["amber"]
    finally:
        OPERATIONS.pop("amber", None)
        del sys.modules[NAME]


def drawn_dataset(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Two small PNG files with COCO labels: the JSON, and the pixels by file name."""
    folder.mkdir()
    pictures = {}
    for i, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 14, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        pictures[name] = pixels
    images = [image(i + 1, name, (14, 9)) for i, name in enumerate(pictures)]
    return write_json(folder / "x.json", coco(images, [row(1, 1), row(2, 2)])), pictures


def expected(pixels: np.ndarray, amount: float) -> np.ndarray:
    """The usual amber weights, mixed with the picture, to three decimals of a weight, rounded half up."""
    amber = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    weights = np.round((amount * amber + (1 - amount) * np.eye(3)) * 1024) / 1024
    return np.clip(np.floor(pixels @ weights.T + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_a_run_with_it_gives_its_pixels_and_leaves_the_labels(amber, tmp_path, amount):
    source, pictures = drawn_dataset(tmp_path / "in")
    run(source, tmp_path / "out", recipe_of(f"- amber: {{amount: {amount}}}"), picture=PictureFormat("png"))
    made = samples(tmp_path / "out")
    assert len(made) == len(pictures)
    for files in made.values():
        record = json.loads(files["json"])
        pixels = np.asarray(Image.open(io.BytesIO(files["png"])))
        assert np.array_equal(pixels, expected(pictures[record["source"]["key"]], amount))
        assert [o["box_xyxy"] for o in record["objects"]] == [[2, 1, 7, 5]]


def test_its_numbers_are_drawn_recorded_and_fused(amber, tmp_path):
    from recipe_tools import plan_of

    amounts = {plan_of("- amber", copy=i).drawn[0].parameters["amount"] for i in range(30)}
    assert len(amounts) == 30
    assert 0.5 <= min(amounts) < max(amounts) <= 1.0
    assert len(plan_of("- amber\n- brightness_contrast: {brightness: [0.1, 0.1]}\n- to_gray").steps[0].stages) == 1


def test_the_vocabulary_and_the_schema_list_it(amber):
    (row,) = [line for line in reference_docs.operations_markdown().splitlines() if line.startswith("| `amber`")]
    assert "Mix the picture with its amber tone." in row
    assert (
        "`amount`: 0 changes nothing, 1 is all amber (a number, or [low, high], from 0 to 1; default [0.5, 1])" in row
    )
    assert "`amber`" in reference_docs.carried_markdown()
    steps = recipe_schema()["$defs"]["step"]["oneOf"]
    assert "amber" in steps[0]["enum"]
    (schema,) = [step["properties"]["amber"] for step in steps if "amber" in step.get("properties", {})]
    assert set(schema["anyOf"][0]["properties"]) == {"amount", "p", "id", "cut", "when"}


@pytest.mark.parametrize(("step", "message"), [
    ("amber: {amont: 1}", "unknown name 'amont' in amber; did you mean 'amount'?"),
    ("amber: {amount: 2}", "amber.amount: expected a number, or [low, high], from 0 to 1, got 2"),
    ("ambre", "unknown operation 'ambre'; did you mean 'amber'?"),
])  # fmt: skip
def test_mistakes_are_told(amber, step, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        recipe_of(f"- {step}")


def test_two_operations_of_one_name_are_refused(amber):
    with pytest.raises(TypeError, match="two operations are called 'amber'"):
        type("Amber", (amber,), {"__module__": __name__})
    assert OPERATIONS["amber"] is amber


def test_a_file_in_the_folder_is_enough(tmp_path):
    """In a copy of the code that has one file more, the command knows the operation."""
    shutil.copytree(ROOT / "augpipe", tmp_path / "augpipe", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "augpipe/recipe/ops/amber.py").write_text(LISTING, "utf-8")
    code = "from augpipe.recipe.ops import OPERATIONS; print(*OPERATIONS)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=True
    )
    assert sorted(done.stdout.decode().split()) == sorted([*OPERATIONS, "amber"])
