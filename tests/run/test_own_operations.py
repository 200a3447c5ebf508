"""Runs with operations of one's own: their pixels, labels and records, what goes wrong in them, and going on."""

from __future__ import annotations

import io
import json
import math
import shutil
import tarfile

import numpy as np
import pytest
from builders import coco, encoded, image, row, write_json
from command_line import call
from forge import forged
from gpu_jobs import OPTIONS
from own_operations import COUNT, PAGE, RECIPE, SPECKS, pixel_function, write_ops, write_recipe
from PIL import Image
from runs import promised, records, samples

import augpipe
from augpipe.core.errors import RecipeError, UsageError
from augpipe.pixels.backend import PictureJob
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat
from augpipe.recipe.load import load
from augpipe.replay import replay
from augpipe.run.augment import Execution, Limits, RunOptions
from augpipe.run.retry import finish, retry
from augpipe.verification import verify

SIZE = (60, 40)
IN_PNG = RunOptions(picture=PictureFormat("png"))
HERE = Execution(workers=0)


@pytest.fixture
def source(tmp_path):
    """Three pictures with a box each, as COCO."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i, name in enumerate("abc"):
        pixels = np.random.default_rng(i).integers(0, 200, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    images = [image(i + 1, f"{name}.png", SIZE) for i, name in enumerate("abc")]
    return write_json(folder / "x.json", coco(images, [row(i, i, bbox=[20, 10, 16, 12]) for i in (1, 2, 3)]))


@pytest.fixture
def page(tmp_path):
    """The file and the recipe of the page."""
    (tmp_path / "my_ops.py").write_text(PAGE)
    (tmp_path / "own.yaml").write_text(RECIPE)
    return tmp_path / "own.yaml", tmp_path / "my_ops.py"


def made(source, folder, text, step="custom.odd", **options):
    """A run with one operation of a file of its own."""
    at = folder.parent
    recipe = write_recipe(at, f"  - {step}")
    given = {"options": IN_PNG, "execution": HERE, "limits": Limits("100%"), **options}
    return augpipe.augment(source, folder, recipe, ops=[write_ops(at, text)], **given)


def pictures(folder):
    """Source key → (pixels, record)."""
    found = {}
    for files in samples(folder).values():
        record = json.loads(files["json"])
        found[record["source"]["key"]] = np.asarray(Image.open(io.BytesIO(files["png"]))), record
    return found


# --- what comes of them ----------------------------------------------------------------------------------------------


def test_a_function_on_pixels_gives_its_pixels_and_leaves_the_labels(source, page, tmp_path):
    recipe = write_recipe(tmp_path, "  - custom.scratches: {count: 3, light: 0.25}", "lines.yaml")
    augpipe.augment(source, tmp_path / "out", recipe, IN_PNG, ops=[page[1]], execution=HERE)
    found = pictures(tmp_path / "out")
    assert len(found) == 3
    for key, (pixels, record) in found.items():
        (step,) = record["plan"]["steps"]
        assert (step["kind"], step["name"], step["parameters"]) == (
            "custom",
            "custom.scratches",
            {"count": 3, "light": 0.25},
        )
        before = np.asarray(Image.open(source.parent / key)).astype(float)
        columns = np.random.Generator(np.random.Philox(key=step["word"])).integers(0, SIZE[0], 3)
        expected = before.copy()
        for x in columns:
            expected[:, x] = np.floor(expected[:, x] + (255 - expected[:, x]) * 0.25)
        assert np.array_equal(pixels, expected)
        assert [o["box_xyxy"] for o in record["objects"]] == [[20, 10, 36, 22]]
    words = {record["plan"]["steps"][0]["word"] for _, record in found.values()}
    assert len(words) == 3


def test_labels_go_with_an_operation_that_decides(source, page, tmp_path):
    """The corners of the box, turned about the middle by the angle of the record."""
    recipe = write_recipe(tmp_path, "  - custom.tilt_left: {degrees: [5, 15]}", "tilt.yaml")
    augpipe.augment(source, tmp_path / "out", recipe, IN_PNG, ops=[page[1]], execution=HERE)
    for _, record in pictures(tmp_path / "out").values():
        (drawn,) = record["plan"]["drawn"]
        angle = -math.radians(drawn["parameters"]["degrees"])
        corners = np.array([[x, y] for x in (20, 36) for y in (10, 22)]) - (30, 20)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        turned = corners @ turn.T + (30, 20)
        expected = [*turned.min(axis=0), *turned.max(axis=0)]
        assert record["objects"][0]["box_xyxy"] == pytest.approx(expected, abs=0.01)


def test_workers_load_the_file_themselves_and_give_the_same_bytes(source, page, tmp_path):
    recipe, ops = page
    for name, workers in (("here", 0), ("there", 1)):
        augpipe.augment(source, tmp_path / name, recipe, ops=[ops], execution=Execution(workers=workers))
    assert promised(tmp_path / "here") == promised(tmp_path / "there")
    (own,) = json.loads((tmp_path / "here" / "run.json").read_bytes())["config"]["ops"]
    assert set(own) == {"name", "digest"}
    assert own["name"] == "my_ops.py"
    assert (
        str(tmp_path).encode()
        not in json.dumps(json.loads((tmp_path / "here" / "run.json").read_bytes())["config"]).encode()
    )


def test_a_run_without_them_has_the_configuration_of_ever(source, tmp_path):
    augpipe.augment(source, tmp_path / "out", "detection", ops=[write_ops(tmp_path, SPECKS)], execution=HERE)
    assert "ops" not in json.loads((tmp_path / "out" / "run.json").read_bytes())["config"]


def test_on_a_device_the_cpu_does_it_and_the_bytes_are_the_same(tmp_path):
    from cpu_accelerator import CpuAccelerator, compiler

    from augpipe.pixels.cpu import CpuBackend
    from augpipe.pixels.cuda.backend import GpuBackend
    from augpipe.pixels.cuda.batch_codec import HostCodec
    from augpipe.pixels.steps.blur import Blur
    from augpipe.pixels.steps.custom import Custom

    if compiler() is None:
        pytest.skip("there is no C++ compiler")
    recipe = load(write_recipe(tmp_path, "  - custom.specks"), ops=[write_ops(tmp_path, SPECKS)])
    step = Custom(name="custom.specks", digest=recipe.ops[0].digest, parameters={"count": 5}, word=3)
    lost = Custom(name="custom.lost", digest="0" * 64, parameters={}, word=3)
    jobs = []
    for shape in ((31, 40, 3), (9, 7)):
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(1).integers(0, 200, shape, dtype=np.uint8)).save(file, "PNG")
        data = file.getvalue()
        jobs.append(PictureJob(data, read_header(data), ((Blur(sigma=1.0), step), (Blur(sigma=1.0),), (lost,))))
    accelerator = CpuAccelerator()
    backend = GpuBackend(accelerator, HostCodec(accelerator, OPTIONS), OPTIONS, 1 << 30)
    found, wanted = list(backend.render(jobs)), list(CpuBackend(OPTIONS).render(jobs))
    backend.close()
    assert [r.pictures[:2] for r in found] == [r.pictures[:2] for r in wanted]
    assert [r.pictures[2].message for r in found] == [r.pictures[2].message for r in wanted]
    assert [r.fallback for r in found] == ["pixels", "pixels"]


# --- what goes wrong in them -----------------------------------------------------------------------------------------

ODD = "if image.shape[:2] != (40, 60): return image\n    "
"""So that it fails on the pictures of the run, and on none of those that are tried before."""


@pytest.mark.parametrize(("body", "message"), [
    ("return None", "custom.odd returned nothing, expected an array uint8 (40, 60, 3)"),
    ("return image.tolist()", "custom.odd returned a list, expected an array uint8 (40, 60, 3)"),
    ("return image[1:]", "custom.odd returned uint8 (39, 60, 3), expected uint8 (40, 60, 3)"),
    ("return image[:, :, 0]", "custom.odd returned uint8 (40, 60), expected uint8 (40, 60, 3)"),
    ("return image / 255", "custom.odd returned float64 (40, 60, 3), expected uint8 (40, 60, 3)"),
    ("return image * np.nan", "custom.odd returned float64 (40, 60, 3) with NaN, expected uint8 (40, 60, 3)"),
    ("return image.astype(object)", "custom.odd returned object (40, 60, 3), expected uint8 (40, 60, 3)"),
    ("raise ValueError('no\\nway')", r"custom.odd: ValueError: no\nway, line 8 of its file"),
    ("raise SystemExit(1)", "custom.odd: SystemExit: 1, line 8 of its file"),
    ("raise MemoryError", "custom.odd: not enough memory for this picture"),
    ("return p.missing", "custom.odd: AttributeError: 'types.SimpleNamespace' object has no attribute 'missing'"),
])  # fmt: skip
def test_what_a_function_should_not_do_costs_that_copy_and_is_told_in_one_line(source, tmp_path, body, message):
    done = made(source, tmp_path / "out", pixel_function(ODD + body))
    assert (done.written, done.rejected) == (0, 3)
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(r["stage"], r["copies"]) for r in rows] == [("pixels", [0])] * 3
    assert {r["error"] for r in rows} == {"memory" if "memory" in message else "custom"}
    assert all(message in r["message"] for r in rows)


@pytest.mark.parametrize("body", [
    "return image[:, ::-1]",
    "return np.asfortranarray(image[:, ::-1])",
    "kept.append(image); kept.append(image[:, ::-1].copy()); return kept[-1]",
    "turned = image[:, ::-1].copy(); image[:] = 7; return turned",
    "return np.ma.masked_array(image[:, ::-1], mask=True)",
    "turned = image[:, ::-1].copy(); turned.flags.writeable = False; return turned",
], ids=["a view", "not contiguous", "kept", "what came in is written to", "masked", "not writable"])  # fmt: skip
def test_arrays_of_any_making_are_taken(source, tmp_path, body):
    text = "kept = []\n" + pixel_function(body.replace("kept.append", "kept[:] = []; kept.append", 1))
    made(source, tmp_path / "out", text)
    for key, (pixels, _) in pictures(tmp_path / "out").items():
        assert np.array_equal(pixels, np.asarray(Image.open(source.parent / key))[:, ::-1])


def test_one_copy_is_lost_and_the_others_are_not(source, tmp_path):
    text = pixel_function(
        "if image.shape[1] == 60 and rng.random() < 0.5: raise ValueError('bad luck')\n    return image"
    )
    done = made(source, tmp_path / "out", text, options=RunOptions(copies=8, picture=PictureFormat("png")))
    assert done.written + done.rejected == 24
    assert 0 < done.rejected < 24
    assert dict(done.rejects) == {"custom": done.rejected_pictures}


def test_a_function_that_spoils_labels_is_refused_for_them(source, tmp_path):
    text = '@pixels("smear", cannot_carry=("box",))\ndef smear(image, p, rng):\n    return image[::-1]\n'
    with pytest.raises(RecipeError, match=r"custom\.smear cannot carry boxes, which a\.png has; leave the step out"):
        made(source, tmp_path / "out", text, "custom.smear")
    assert not (tmp_path / "out").exists()


def test_what_differs_is_refused_before_any_work(source, tmp_path):
    with pytest.raises(UsageError, match="did not give the same on the same input twice"):
        made(source, tmp_path / "out", COUNT + pixel_function("count[0] += 1; image[:] = count[0]; return image"))
    assert not (tmp_path / "out").exists()


# --- going on with a run ---------------------------------------------------------------------------------------------


@pytest.fixture
def finished(source, page, tmp_path):
    recipe, ops = page
    augpipe.augment(source, tmp_path / "out", recipe, IN_PNG, ops=[ops], execution=HERE)
    return tmp_path / "out"


@pytest.fixture
def other(tmp_path):
    """A file of the same name and other code."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "my_ops.py").write_text(PAGE.replace("0.5", "0.6"))
    return tmp_path / "other" / "my_ops.py"


NOT_THAT = (
    r"my_ops\.py: is not the code of my_ops\.py that the run was made with: its SHA-256 is \w{12}…, it was \w{12}…"
)
NEEDS = (
    r"the run was made with operations of my_ops\.py \(SHA-256 \w{12}…\), so it needs --ops with the my_ops\.py of then"
)


def test_other_code_is_another_run(finished, source, page, other):
    recipe, ops = page
    assert augpipe.augment(source, finished, recipe, IN_PNG, ops=[ops], execution=HERE).already_done
    with pytest.raises(UsageError, match=r"ops: my_ops\.py has changed \(SHA-256 \w{12}… → \w{12}…\)"):
        augpipe.augment(source, finished, recipe, IN_PNG, ops=[other], execution=HERE)
    with pytest.raises(UsageError, match="the recipe is loaded already"):
        augpipe.augment(source, finished, load(recipe, ops=[ops]), IN_PNG, ops=[ops])


def test_retry_and_replay_ask_for_the_very_code(finished, page, other, tmp_path):
    _, ops = page
    key = next(iter(records(finished)))
    for again in (lambda **how: retry(finished, **how), lambda **how: replay(finished, key, **how)):
        with pytest.raises(UsageError, match=NEEDS):
            again()
        with pytest.raises(UsageError, match=NOT_THAT):
            again(ops=[other])
    renamed = shutil.copy(ops, tmp_path / "renamed.py")
    assert replay(finished, key, ops=[renamed]).is_same
    assert retry(finished, ops=[renamed], execution=HERE).already_done


def test_retry_makes_the_lost_ones_when_the_trouble_has_passed(source, tmp_path):
    trouble = tmp_path / "trouble"
    trouble.touch()
    text = "import os\n" + pixel_function(
        f"{ODD}if os.path.exists({str(trouble)!r}): raise MemoryError\n    return image[::-1]"
    )
    assert made(source, tmp_path / "out", text).rejected == 3
    trouble.unlink()
    assert retry(tmp_path / "out", ops=[tmp_path / "my_ops.py"], execution=HERE).written == 3


def test_finish_needs_no_code(source, page, tmp_path):
    recipe, ops = page
    from augpipe.run.config import parse_slice

    for part in ("0..1/2", "1..2/2"):
        how = Execution(workers=0, tasks=parse_slice(part))
        augpipe.augment(source, tmp_path / "out", recipe, IN_PNG, ops=[ops], execution=how)
    (tmp_path / "out" / "manifest.json").unlink()
    assert finish(tmp_path / "out").written == 3


# --- verifying -------------------------------------------------------------------------------------------------------


def test_verify_judges_everything_with_the_code_and_counts_what_it_cannot_without(finished, source, page, other):
    _, ops = page
    whole = verify(finished, source, ops=[ops], workers=0)
    assert (whole.ok, whole.unjudged) == (True, {})
    assert {row.kind for row in whole.rows} >= {"picture", "box corners"}
    without = verify(finished, source, workers=0)
    lines = sum(any(s["kind"] == "custom" for s in r["plan"]["steps"]) for r in records(finished).values())
    assert without.ok
    assert without.as_json()["unjudged"] == {"plans": 3, "pictures": lines}
    with pytest.raises(UsageError, match=NOT_THAT):
        verify(finished, source, ops=[other], workers=0)
    told = call("verify", finished, "--against", source, "--workers", "0").stdout
    assert f"not judged, as --ops has not the code of the run: plans 3, pictures {lines}" in told


def test_verify_notices_another_picture_and_another_plan(finished, source, page, tmp_path):
    def blacken(samples):
        _, members = next(s for s in samples.values() if s[0]["plan"]["steps"][-1]["kind"] == "custom")
        pixels = np.array(Image.open(io.BytesIO(members["png"])))
        pixels[5:25, 5:25] = 0
        members["png"] = encoded(pixels, "PNG")

    def redraw(samples):
        record, _ = next(iter(samples.values()))
        record["plan"]["drawn"][0]["parameters"]["degrees"] += 0.5

    black = verify(forged(finished, tmp_path / "black", blacken), source, ops=[page[1]], workers=0)
    assert [row.kind for row in black.rows if not row.ok] == ["picture", "spot"]
    again = verify(forged(finished, tmp_path / "redrawn", redraw), source, ops=[page[1]], workers=0)
    assert ["its plan is not the one" in fault.message for fault in again.faults] == [True]


# --- the commands ----------------------------------------------------------------------------------------------------


def test_every_command_that_takes_a_recipe_takes_the_file(source, page, tmp_path):
    recipe, ops = page
    out = tmp_path / "out"
    for command in (
        ("augment", source, out, "-r", recipe, "-w", "0"),
        ("plan", source, "-r", recipe),
        ("preview", source, "-r", recipe, "-o", tmp_path / "sheet.png", "--limit", "1"),
        ("recipes", "show", recipe),
        ("retry", out, "-w", "0"),
        ("replay", out, "KEY"),
    ):
        given = [next(iter(records(out))) if word == "KEY" else word for word in command]
        refused = call(*given)
        assert refused.exit_code == 2, (command, refused.output)
        assert len(refused.stderr.splitlines()) <= 3, refused.stderr
        done = call(*given, "--ops", ops)
        assert done.exit_code == 0, (command, done.output)
    plans = call("plan", source, "-r", recipe, "--ops", ops).stdout.splitlines()
    in_shards = {r["source"]["key"]: r["plan"] for r in records(out).values()}
    assert {p["source"]: p["plan"] for p in map(json.loads, plans)} == in_shards


def test_a_dataset_is_made_and_retried_with_them(source, page, tmp_path):
    recipe, ops = page
    done = call("augment", source, tmp_path / "coco", "-r", recipe, "--ops", ops, "--to", "coco", "-w", "0")
    assert done.exit_code == 0, done.output
    assert call("retry", tmp_path / "coco").exit_code == 2
    again = call("retry", tmp_path / "coco", "--ops", ops)
    assert again.exit_code == 0, again.output


def test_a_folder_of_somebody_else_loads_nothing(finished, tmp_path, monkeypatch):
    """Reading one for training and inspecting it work where the file is not there."""
    (tmp_path / "my_ops.py").unlink()
    assert call("inspect", finished).exit_code == 0
    assert call("convert", "shards-to-coco", finished, tmp_path / "coco").exit_code == 0
    with tarfile.open(next(finished.glob("*.tar"))) as tar:
        assert tar.getnames()
