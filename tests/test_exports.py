"""The library's front door: what it names is there, and opening it is quick."""

import subprocess
import sys

import augpipe

LABELS = ["sample", "geometry", "plan", "track", "masks", "polygons", "outlines", "shapes", "labels"]


def test_every_exported_name_can_be_imported():
    assert augpipe.__all__ == sorted(augpipe.__all__)
    assert set(augpipe.__all__) == set(augpipe._HOMES)
    for name in augpipe.__all__:
        assert getattr(augpipe, name) is not None
    assert set(dir(augpipe)) >= set(augpipe.__all__)


def test_importing_augpipe_imports_nothing_heavy():
    code = "import augpipe, sys; print({'numpy', 'torch', 'cv2', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_imports_go_one_way():
    """Only one file imports torchdata, one CuPy; drawing never imports pixels, and labels know nothing of recipes."""
    from pathlib import Path

    root = Path(augpipe.__file__).parent
    text = {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in root.rglob("*.py")}
    assert [name for name, code in text.items() if "import torchdata" in code or "from torchdata" in code] == [
        "nodes.py"
    ]
    for name, code in text.items():
        if name.startswith("recipe/"):
            assert not any(pixels in code for pixels in ("augpipe.pixels", "import cv2")), name
        if name.removesuffix(".py") in LABELS:
            assert not any(f"augpipe.{upper}" in code for upper in ("recipe", "run", "formats")), name
    assert [name for name, code in text.items() if "import cupy" in code or 'import_module("cupy' in code] == [
        "pixels/gpu.py"
    ]


def test_making_shards_imports_no_torch():
    """Two seconds and 220 MB for every process."""
    code = "import augpipe.run.task, augpipe.run.worker, augpipe.run.augment, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
