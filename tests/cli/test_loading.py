"""What commands do to be quick to start: what they must not load, and what they must not look for."""

import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, pathlib, sys
sys.argv[1:], told = sys.argv[2:], pathlib.Path(sys.argv[1])
atexit.register(lambda: told.write_text("\\n".join(sys.modules)))
from augpipe.cli.main import main
main()
"""
_NEVER = {"torch", "cupy", "matplotlib", "pycocotools.coco", "unittest"}


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (("recipes", "list"), {"cv2", "PIL", "multiprocessing", "augpipe.formats.registry"}),
        (("inspect", "{voc}"), {"cv2", "augpipe.run.task"}),
        (("convert", "voc-to-coco", "{voc}", "{out}"), {"cv2", "PIL", "yaml", "augpipe.recipe.compile"}),
        (("augment", "{voc}", "{out}", "--recipe", "flip", "--workers", "0"), {"augpipe.verification", "augpipe.viz"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_does_not_load_what_it_has_no_use_for(command, unwanted, voc, tmp_path):
    recipe = tmp_path / "flip.yaml"
    recipe.write_text("version: 1\nsteps:\n  - horizontal_flip\n")
    words = [word.format(voc=voc, out=tmp_path / "out") for word in command]
    words = [str(recipe) if word == "flip" else word for word in words]
    told = tmp_path / "modules"
    done = subprocess.run([sys.executable, "-c", _PROGRAM, told, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (unwanted | _NEVER) & set(told.read_text().split())


def test_a_command_asks_no_other_package_what_a_recipe_means():
    """pydantic looks through every installed distribution for plugins when the first model is made."""
    code = (
        "import importlib.metadata as metadata, sys\n"
        "looked = []\n"
        "every = metadata.distributions\n"
        "metadata.distributions = lambda **how: looked.append(1) or every(**how)\n"
        "sys.argv = ['augpipe', 'recipes', 'list']\n"
        "from augpipe.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(len(looked), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]


def test_operations_that_no_recipe_names_are_not_compiled():
    code = (
        "from augpipe.recipe.load import load\nfrom augpipe.recipe.ops import OPERATIONS\nload('classification')\n"
        "made = {name for name, kind in OPERATIONS.items() if kind.__pydantic_complete__}\n"
        "print('random_resized_crop' in made, 'affine' in made, 'perspective' in made)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]
