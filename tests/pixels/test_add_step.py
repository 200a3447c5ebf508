"""A pixel step is one file and a kernel: the listings in CONTRIBUTING.md work everywhere as they stand."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from builders import coco, image, row, write_json
from contents import noise_picture, rendered
from cpu_accelerator import CpuAccelerator
from devices import rendered_on
from PIL import Image
from places import ROOT
from recipe_tools import recipe_of
from runs import run, samples
from verifying import problems, verified

from augpipe.core import plan as plans
from augpipe.core.canvas import CanvasState, fault_of, follow
from augpipe.core.plan import Curve, Plan, from_json, to_json
from augpipe.pixels import reference
from augpipe.pixels.cuda import kernel_source
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.noise import Noise
from augpipe.recipe.ops import OPERATIONS, pixel

SECTION = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a pixel step\n")[1].split("\n## ")[0]
STEP, KERNEL, OPERATION = re.findall(r"^```\w+\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
STEP_FILE, KERNEL_FILE = re.findall(r"`(augpipe/\S+/median\.\w+)`", SECTION)
NAME = STEP_FILE.removesuffix(".py").replace("/", ".")
SIZES = [(37, 23), (1, 1), (1, 9), (2, 2), (130, 17)]


@pytest.fixture
def median(tmp_path):
    """The class of the listing, registered for one test."""
    path = tmp_path / "median.py"
    path.write_text(STEP, "utf-8")
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
        yield module.Median
    finally:
        plans._KINDS.pop("median", None)
        del sys.modules[NAME]


def test_plans_hold_it(median):
    plan = Plan(3, (median(times=2), Noise(std=1.0, offset=5)))
    text = json.dumps(to_json(plan))
    assert '{"kind": "median", "times": 2}' in text
    assert from_json(json.loads(text)) == plan
    with pytest.raises(ValueError, match=r"not a plan: median: Expected `int`, got `str` - at `\$.times`"):
        from_json({"seed": 3, "steps": [{"kind": "median", "times": "often"}]})


def test_a_kind_that_nothing_registers_is_refused():
    known = "bars, box_blur, .*, warp"
    for wrong in ({"kind": "median", "times": 2}, {"times": 2}, {"kind": ["warp"]}, "warp", None):
        with pytest.raises(ValueError, match=f"not a plan: .* is no kind of step; expected one of {known}"):
            from_json({"seed": 3, "steps": [wrong]})


def test_two_kinds_of_one_name_are_refused(median):
    class Other(plans.Step, frozen=True, tag="median"):
        pass

    with pytest.raises(ValueError, match="two step kinds are called 'median'"):
        plans.register(Other)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("times", [1, 3])
def test_the_cpu_does_what_the_reference_says(median, channels, times):
    for size_wh in SIZES:
        picture = noise_picture(size_wh, channels)
        expected = reference.apply(picture, [median(times=times)])
        assert np.array_equal(rendered(picture, [median(times=times)]), expected), size_wh


def test_the_kernel_does_what_the_cpu_does(median):
    """Alone, and with point operations behind it."""
    tones = Color(stages=(Curve("gamma", 0.7),)), Noise(std=9.0, offset=77)
    cases = [
        (noise_picture(size_wh, channels), (median(times=times), *behind))
        for size_wh in SIZES
        for channels in (1, 3)
        for times, behind in ((1, ()), (2, tones))
    ]
    accelerator = CpuAccelerator(text=f"{kernel_source.source()}\n{KERNEL}")
    for (picture, chain), got in zip(cases, rendered_on(accelerator, cases), strict=True):
        assert np.array_equal(got, rendered(picture, chain)), (picture.shape, chain)
    assert set(accelerator.launched) == {"median"}
    assert accelerator.damaged == []


def test_the_check_of_plans_asks_it(median):
    assert fault_of([median(times=2)], (40, 30)) is None
    assert fault_of([median(times=2), median(times=11)], (40, 30)) == "step 1, median: 11 times"


def test_labels_stay(median):
    assert follow([median(times=2)], (40, 30)) == CanvasState((40, 30))


@pytest.fixture
def median_filter(median):
    """The operation of the listing in its file, registered for one test."""
    try:
        exec(OPERATION, dict(vars(pixel)))
        yield
    finally:
        OPERATIONS.pop("median_filter", None)


def test_a_run_makes_it_and_verify_finds_it_right(median_filter, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(noise_picture((64, 48), 3)).save(tmp_path / "in" / "a.png")
    source = write_json(tmp_path / "in" / "x.json", coco([image(1, "a.png", (64, 48))], [row(1, 1)]))
    recipe = recipe_of("- rotate: {degrees: [5, 20]}\n- median_filter: {times: 2}")
    run(source, tmp_path / "out", recipe, copies=2)
    for files in samples(tmp_path / "out").values():
        assert [step["kind"] for step in json.loads(files["json"])["plan"]["steps"]] == ["warp", "median"]
    verdict = verified(tmp_path / "out", source)
    assert problems(verdict) == []
    assert any(row.kind == "picture" for row in verdict.rows)


def test_files_in_their_folders_are_enough(tmp_path):
    """A copy of the code with two files more decodes the step and builds its kernel."""
    shutil.copytree(ROOT / "augpipe", tmp_path / "augpipe", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / STEP_FILE).write_text(STEP, "utf-8")
    (tmp_path / KERNEL_FILE).write_text(KERNEL, "utf-8")
    code = """
import augpipe.recipe.load
from augpipe.core.plan import from_json
from augpipe.pixels.cuda import kernel_source
print(from_json({"seed": 1, "steps": [{"kind": "median", "times": 2}]}).steps)
print("median" in kernel_source.names(), kernel_source.source().count('#line 1 "median.cu"'))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["(Median(times=2),)", "True 1"]
