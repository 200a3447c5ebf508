"""The tables of formats agree with each other, and everything that names formats is made from them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_cli import call

from augpipe.catalogue import PAIRS, READABLE, WRITABLE
from augpipe.formats import FORMATS
from augpipe.formats.writers import WRITERS


def test_every_name_has_a_reader_or_a_writer():
    assert list(FORMATS) == list(READABLE)
    assert list(WRITERS) == list(WRITABLE)
    assert set(WRITABLE) <= set(READABLE)  # what is written can be read back
    assert all(WRITERS[name].kind is WRITABLE[name] for name in WRITABLE)


def test_a_pair_is_a_source_and_another_target():
    for pair in PAIRS:
        before, _, after = pair.partition("-to-")
        assert before != after
        assert READABLE[before].as_source
        assert after in WRITABLE
    assert len(PAIRS) == len(set(PAIRS))


def test_help_and_errors_name_the_pairs(tmp_path):
    text = " ".join(call("convert", "--help").output.replace("│", " ").split())
    assert all(pair in text for pair in PAIRS)
    result = call("convert", "voc-to-nothing", tmp_path, tmp_path / "x")
    assert f"known are {', '.join(PAIRS)}" in " ".join(result.stderr.split())


@pytest.mark.parametrize("option", ["--help", "convert --help"])
def test_help_needs_nothing_heavy(option):
    code = (
        "import sys\nfrom augpipe.cli.main import app\n"
        f"try:\n    app({option.split()})\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'cv2', 'torch', 'yaml') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
