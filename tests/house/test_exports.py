"""The library's front door: what it names is there, and opening it is quick."""

import subprocess
import sys

import augpipe


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


def test_making_shards_imports_no_torch():
    """Two seconds and 220 MB for every process."""
    code = "import augpipe.run.task, augpipe.run.engine.worker, augpipe.run.augment, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
