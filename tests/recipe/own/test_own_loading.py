"""Files with operations of one's own: what is loaded, what is refused, and that code never travels."""

from __future__ import annotations

import os
import pickle
import re

import pytest
from command_line import call
from documents import FENCE
from own_operations import COUNT, HEAD, PAGE, RECIPE, SPECKS, deciding, pixel_function, write_ops, write_recipe
from places import ROOT
from recipe_tools import frame_of

import augpipe
from augpipe.core.errors import RecipeError, Reject, UsageError
from augpipe.recipe.load import load
from augpipe.recipe.operation.base import OPERATIONS
from augpipe.recipe.own.check import require_the_same_again
from augpipe.recipe.own.loading import load_own
from augpipe.recipe.planner import draw

FLIP = "return OpResult((WarpEffect(geometry.mirror_x(canvas.size_wh[0]), canvas.size_wh),), {})"
NOTHING = "return OpResult((), {})"


@pytest.fixture
def page(tmp_path):
    """The file and the recipe of the page."""
    (tmp_path / "my_ops.py").write_text(PAGE)
    (tmp_path / "own.yaml").write_text(RECIPE)
    return tmp_path / "own.yaml", tmp_path / "my_ops.py"


def loaded(tmp_path, text, step="custom.odd"):
    return load(write_recipe(tmp_path, f"  - {step}"), ops=[write_ops(tmp_path, text)])


# --- what a recipe knows ---------------------------------------------------------------------------------------------


def test_a_recipe_knows_the_operations_of_the_files_that_it_is_read_with_and_no_others(page):
    recipe, ops = page
    found = augpipe.load_recipe(recipe, ops=[ops])
    assert [leaf.path for leaf in found.leaves()] == ["custom.tilt_left", "horizontal_flip", "custom.scratches"]
    assert [own.name for own in found.ops] == ["my_ops.py"]
    assert not {"tilt_left", "custom.tilt_left", "scratches"} & set(OPERATIONS)
    with pytest.raises(RecipeError) as caught:
        load(recipe)
    first, second = str(caught.value).splitlines()
    assert first.endswith(
        "own.yaml:3: unknown operation 'custom.tilt_left'; --ops FILE loads the file of one's own operations"
    )
    assert "custom.scratches" in second


def test_files_that_a_recipe_does_not_name_are_not_in_its_run(page):
    _, ops = page
    assert load("detection", ops=[ops]) == load("detection")
    assert load("detection", ops=[ops]).ops == ()


@pytest.mark.parametrize(("step", "message"), [
    ("custom.tilt_lefd", "unknown operation 'custom.tilt_lefd'; did you mean 'custom.tilt_left'?"),
    ("tilt_left", "unknown operation 'tilt_left'; did you mean 'custom.tilt_left'?"),
    ("custom.tilt_left: {degree: 3}", "unknown name 'degree' in custom.tilt_left; did you mean 'degrees'?"),
    ("custom.tilt_left: {degrees: 30}", "custom.tilt_left.degrees: expected a number, or [low, high], from 0 to 20"),
    ("custom.scratches: {count: 0}", "custom.scratches.count: expected a whole number, or [low, high], from 1"),
])  # fmt: skip
def test_mistakes_in_a_recipe_are_told_as_ever(page, tmp_path, step, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        load(write_recipe(tmp_path, f"  - {step}"), ops=[page[1]])


def test_its_parameters_can_be_set(page):
    recipe, ops = page
    found = load(recipe, ["steps.custom.scratches.count=2", "steps.custom.tilt_left.p=0.5"], ops=[ops])
    tilt, _, lines = (leaf.operation for leaf in found.leaves())
    assert (lines.count, lines.light, tilt.p) == ((2, 2), (0.5, 0.5), 0.5)
    with pytest.raises(RecipeError, match=r"no step 'custom\.scratch' in steps; did you mean 'custom\.scratches'"):
        load(recipe, ["steps.custom.scratch.count=2"], ops=[ops])


def test_the_example_of_contributing_works_as_it_stands(tmp_path):
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a color operation\n")[1]
    (tmp_path / "amber.py").write_text(next(text for language, text in FENCE.findall(section) if language == "python"))
    found = load(write_recipe(tmp_path, "  - custom.amber: {amount: 1}"), ops=[tmp_path / "amber.py"])
    (step,) = draw(found, frame_of(), 0, 0).steps
    assert step.stages[0].rows[0] == pytest.approx(0.393, abs=1 / 1024)


# --- what is refused -------------------------------------------------------------------------------------------------

LOUD = "label_effects = NOTHING"


@pytest.mark.parametrize(("text", "message"), [
    ("def broken(:", "my_ops.py:5: SyntaxError: "),
    ("import not_there_at_all", "my_ops.py:5: ModuleNotFoundError: No module named 'not_there_at_all'"),
    ("raise SystemExit(3)", "my_ops.py:5: SystemExit: 3"),
    ("x = 1", "my_ops.py: defines no operation; expected a class derived from augpipe.custom.Operation"),
    (f"class Gamma(Operation):\n    {LOUD}\n    def draw(self, rng, canvas): pass", "'gamma' is there already"),
    ('@pixels("one_of")\ndef f(image, p, rng): return image', "'one_of' is there already, it comes with augpipe"),
    ('@pixels("rand_augment")\ndef f(image, p, rng): return image', "'rand_augment' is there already"),
    ('@pixels("Bad name")\ndef f(image, p, rng): return image', "'Bad name' is no name of an operation"),
    (pixel_function("return image") * 2, None),
    (pixel_function("return image") + '@pixels("odd")\ndef g(image, p, rng): return image', "two operations are"),
    ("class Odd(Operation):\n    def draw(self, rng, canvas): pass", "Odd needs label_effects, such as NOTHING"),
    (f"class Odd(Operation):\n    {LOUD}", "Odd needs draw(self, rng, canvas), which says what happens"),
    (f"class Odd(Operation):\n    {LOUD}\n    a: NotDefined\n    def draw(self, rng, canvas): pass", "NotDefined"),
    ('@pixels("odd", p=Whole(1, 2))\ndef odd(image, p, rng): return image', "'p' is what every step takes"),
    ('@pixels("odd", n=3)\ndef odd(image, p, rng): return image', "n: expected Between(…), Span(…) or Whole(…)"),
    ('@pixels("odd", n=Whole(1, 2, default=9))\ndef odd(image, p, rng): return image', "custom.odd.n: expected a"),
    ('@pixels("odd", cannot_carry=["boxes"])\ndef odd(image, p, rng): return image', "'boxes' is no kind of label"),
    ("@pixels\ndef odd(image, p, rng): return image", "expected the operation's name, as in @pixels('scratches')"),
    ("from augpipe.core.plan import Step\nclass Mine(Step, frozen=True):\n    pass\n" + pixel_function("return image"),
     "Mine is a kind of step; operations are made of those that there are"),
])  # fmt: skip
def test_files_that_make_no_sense_are_refused_in_one_line(tmp_path, text, message):
    if message is None:  # the second definition takes the place of the first, as ever in Python
        assert loaded(tmp_path, text).ops
        return
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        loaded(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("given", "message"), [
    ("nowhere.py", "--ops {0}/nowhere.py: there is no such file"),
    ("own.yaml", "--ops {0}/own.yaml: expected a Python file that ends in .py, or package:NAME"),
    ("folder.py", "--ops {0}/folder.py: there is no such file"),
    ("fifo.py", "--ops {0}/fifo.py: there is no such file"),
])  # fmt: skip
def test_what_is_no_file_of_code_is_refused(tmp_path, given, message):
    write_recipe(tmp_path, "  - horizontal_flip")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "fifo.py")
    with pytest.raises(UsageError, match=re.escape(message.format(tmp_path))):
        load("detection", ops=[tmp_path / given])


def test_urls_packages_that_are_not_there_and_texts_for_lists_are_refused():
    with pytest.raises(UsageError, match="expected a local path"):
        load("detection", ops=["https://example.org/my_ops.py"])
    with pytest.raises(UsageError, match=r"--ops package:nothing: no installed package has the entry point"):
        load("detection", ops=["package:nothing"])
    with pytest.raises(UsageError, match=r"ops: expected a list of files, got the text 'my_ops\.py'"):
        load("detection", ops="my_ops.py")


def test_two_files_with_one_name_of_an_operation_are_refused(tmp_path):
    one, two = write_ops(tmp_path, SPECKS, "one.py"), write_ops(tmp_path, SPECKS + "# more", "two.py")
    with pytest.raises(UsageError, match=r"two operations are called 'custom\.specks': in one\.py and two\.py"):
        load("detection", ops=[one, two])
    assert load("detection", ops=[one, one]).ops == ()


def test_what_a_file_prints_is_not_in_the_result_of_a_command(tmp_path, voc):
    ops = write_ops(tmp_path, 'print("hello")\n' + SPECKS)
    done = call("plan", voc, "-r", write_recipe(tmp_path, "  - custom.specks"), "--ops", ops, "--limit", 1)
    assert done.exit_code == 0
    assert done.stdout.startswith("{")
    assert "hello" in done.stderr


# --- the same again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    COUNT + pixel_function("count[0] += 1; image[0, 0] = count[0]; return image"),
    pixel_function("return np.random.randint(0, 255, image.shape).astype(np.uint8)"),
    pixel_function("image[0, 0] = random.randrange(256); return image"),
    COUNT + deciding('count[0] += 1; return OpResult((), {"n": count[0]})'),
    deciding("return OpResult((ColorEffect(Curve('gamma', 1 + random.random())),), {})"),
], ids=["counter", "numpy", "random", "counter in draw", "random in draw"])  # fmt: skip
def test_what_gives_another_result_the_second_time_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match=r"custom\.odd: did not give the same on the same input twice") as caught:
        loaded(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 2


def test_what_differs_in_another_process_is_refused_by_check(tmp_path):
    """The hash of a text is another one in each process."""
    recipe = loaded(
        tmp_path, pixel_function('image.flat[:8] = np.array([hash("a text")]).view(np.uint8); return image')
    )
    with pytest.raises(UsageError, match=r"custom\.odd: did not give the same in another process"):
        require_the_same_again(recipe, elsewhere=True)


def test_check_says_on_which_pictures_it_fails(tmp_path):
    """Gray ones have no third axis; that is no reason to refuse it for color."""
    ops = write_ops(tmp_path, pixel_function("image[:, :, 0] = 0; return image"))
    done = call("recipes", "check", write_recipe(tmp_path, "  - custom.odd"), "--ops", ops)
    assert done.exit_code == 0
    assert "custom.odd: IndexError: too many indices for array" in done.stdout
    assert "line 7 of its file (tried on a picture that is gray)" in done.stdout


def test_what_fails_on_every_picture_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"own: custom\.odd: ZeroDivisionError: .* by zero, line 7 of its file"):
        loaded(tmp_path, pixel_function("return image // (1 // 0)"))


@pytest.mark.parametrize(("text", "message"), [
    (deciding(FLIP, "label_effects = WHOLE"), "mirrors the picture; say mirrors = True in its class"),
    (deciding(FLIP, "mirrors = True; label_effects = NOTHING"), "moves the picture; say in its class what becomes of"),
    (deciding("from augpipe.pixels.steps.blur import Blur; return OpResult((PixelStep(Blur(sigma=1.0)),), {})"),
     "makes a step that needs the pixels made; say ends_run = True in its class"),
    (deciding("from augpipe.pixels.steps.cutout import Cutout; "
              "return OpResult((PixelStep(Cutout(boxes_xyxy=((1, 1, 5, 5),), fill=(0, 0, 0))),), {})",
              "ends_run = True; label_effects = NOTHING"), "paints over labels; say label_effects = PAINT"),
])  # fmt: skip
def test_what_a_class_does_and_does_not_say_is_refused(tmp_path, text, message):
    with pytest.raises(UsageError, match=re.escape(f"custom.odd: {message}")):
        loaded(tmp_path, text)


# --- what draw returns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "message"), [
    ("pass", "draw returned nothing, expected OpResult(effects, parameters)"),
    ("return OpResult(None, {})", "expected OpResult of a tuple of effects and a dict of parameters"),
    ("return OpResult((3,), {})", "draw returned 3, which is no effect"),
    ("return OpResult((ColorEffect(7),), {})", "draw returned 7, expected a change of color"),
    ("return OpResult((PixelStep(7),), {})", "draw returned 7, expected a step of a kind that there is"),
    ("return OpResult((WarpEffect((1.0, 2.0), (5, 5)),), {})", "expected a matrix of nine finite numbers and a size"),
    ("return OpResult((WarpEffect((float('nan'),) * 9, canvas.size_wh),), {})", "a matrix of nine finite numbers"),
    ("return OpResult((WarpEffect('far', canvas.size_wh),), {})", "a matrix of nine numbers and a size of two"),
    ("return OpResult((WarpEffect((1.0,) * 9, (0, 5)),), {})", "draw returned a canvas of 0×5"),
    ("return OpResult((), {'a': float('inf')})", "the parameter a is inf, expected a finite number or a text"),
    ("return OpResult((), {'a': object})", "the parameter a is <class 'object'>, expected a finite number or a text"),
    ("return OpResult((ColorEffect(Matrix3x4((1.0,))),), {})", "cannot be followed"),
    ("return OpResult((ColorEffect(Matrix3x4((float('nan'),) * 12)),), {})", "an effect makes no sense"),
    ("return OpResult((ColorEffect(Curve('nothing', 1.0)),), {})", "expected a change of color"),
    ("raise RuntimeError('no\\nmore')", r"RuntimeError: no\nmore, line 8 of its file"),
    ("raise SystemExit", "SystemExit: , line 8 of its file"),
])  # fmt: skip
def test_what_draw_should_not_return_costs_one_copy_and_is_told_in_one_line(tmp_path, body, message):
    """The first copy of a picture that is 640 pixels wide, so that it is none of those that are tried before."""
    text = deciding(f"if canvas.size_wh[0] != 640: {NOTHING}\n        {body}")
    recipe = loaded(tmp_path, text)
    with pytest.raises(Reject) as caught:
        draw(recipe, frame_of(), 0, 0)
    assert (caught.value.stage, caught.value.code) == ("plan", "custom")
    told = caught.value.message.replace("line 9", "line 8")
    assert told.startswith("custom.odd: ")
    assert message in told
    assert len(told.splitlines()) == 1


def test_numbers_of_numpy_are_taken(tmp_path):
    import json

    from augpipe.core.plan import to_json

    text = deciding(
        "m = np.array([[1, 0, np.float32(3)], [0, 1, 0], [0, 0, 1]], np.float32); "
        "return OpResult([WarpEffect(m, (np.int64(canvas.size_wh[0]), canvas.size_wh[1]))], {'a': np.int64(3)})",
        "label_effects = MAP",
    )
    plan = draw(loaded(tmp_path, text), frame_of(), 0, 0)
    assert json.loads(json.dumps(to_json(plan)))["drawn"] == [{"name": "custom.odd", "parameters": {"a": 3}}]
    assert plan.steps[0].matrix == (1.0, 0.0, 3.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


# --- between processes -----------------------------------------------------------------------------------------------


def test_what_travels_is_the_name_of_the_file_and_never_its_code(page):
    recipe, ops = page
    sent = pickle.dumps(load(recipe, ops=[ops]))
    assert str(ops).encode() in sent
    for line in PAGE.splitlines():
        if "(" in line and len(line) > 30:
            assert line.strip().encode() not in sent
    assert pickle.loads(sent) == load(recipe, ops=[ops])


def test_a_file_that_has_changed_is_not_loaded_instead(page, monkeypatch):
    from augpipe.recipe.own import loading

    recipe, ops = page
    ops.write_text(PAGE + "# that no other test has loaded\n")
    sent = pickle.dumps(load(recipe, ops=[ops]))
    monkeypatch.setattr(loading, "_LOADED", {})  # as in another process
    ops.write_text(PAGE + "# another\n")
    with pytest.raises(UsageError, match=r"my_ops\.py: has changed since the run began"):
        pickle.loads(sent)


# --- installed packages ----------------------------------------------------------------------------------------------


def test_a_package_is_loaded_where_it_is_named_and_its_digest_is_of_all_its_files(tmp_path, monkeypatch):
    package, info = tmp_path / "site" / "filmgrain", tmp_path / "site" / "filmgrain-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: filmgrain\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[augpipe.ops]\nfilm = filmgrain.operations\n")
    (package / "__init__.py").write_text("")
    (package / "levels.py").write_text("LEVEL = 255\n")
    (package / "operations.py").write_text(HEAD + "from .levels import LEVEL\n" + SPECKS.replace("255", "LEVEL"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    recipe = write_recipe(tmp_path, "  - custom.specks")
    with pytest.raises(RecipeError, match=r"unknown operation 'custom\.specks'"):
        load(recipe)
    found = load(recipe, ops=["package:film"])
    assert found.ops[0].to_json() == {"name": "package:film", "digest": load_own("package:film").digest}
    assert pickle.loads(pickle.dumps(found)) == found
    (package / "levels.py").write_text("LEVEL = 254\n")
    assert load_own("package:film").digest != found.ops[0].digest
    with pytest.raises(
        UsageError, match=r"no installed package has the entry point 'augpipe\.ops: grain'; there are film"
    ):
        load_own("package:grain")
