"""The JSON itself: cut or changed while it is read, and in encodings that are none of JSON's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from builders import coco, row, write_json, write_picture

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import SourceOptions
from augpipe.formats.coco import json_text
from augpipe.formats.coco.index import index_file
from augpipe.formats.coco.json_text import held
from augpipe.formats.registry import open_dataset


def test_a_json_that_is_cut_while_it_is_read_ends_in_a_sentence(tmp_path):
    """Of a map of the file, what was cut off would end the process by SIGBUS, without a word."""
    path = write_json(tmp_path / "x.json", coco(rows=[row(n) for n in range(3000)]))
    with held(path) as text:
        os.truncate(path, 0)
        assert bytes(text[-1:]) == b"}"
        assert len(json.loads(bytes(text))["annotations"]) == 3000


@pytest.mark.parametrize("most", [0, 2 << 30], ids=["by a copy", "in memory"])
def test_both_ways_of_holding_a_json_give_its_bytes(tmp_path, monkeypatch, most):
    monkeypatch.setattr(json_text, "_IN_MEMORY", most)
    path = write_json(tmp_path / "x.json", coco(rows=[row(n) for n in range(300)]))
    with held(path) as text:
        data = path.read_bytes()
        os.truncate(path, 100)
        assert bytes(text[:]) == data


def test_a_json_that_shrinks_between_looking_and_reading_is_told(tmp_path, monkeypatch):
    path = write_json(tmp_path / "x.json", coco(rows=[row(1)]))
    fstat, calls = os.fstat, []

    def cutting(number):
        found = fstat(number)
        calls.append(found)
        if len(calls) > 1:  # the first only sees that it is a file
            os.truncate(path, 10)
        return found

    monkeypatch.setattr(json_text.os, "fstat", cutting)
    with pytest.raises(DatasetError, match=r"x\.json: cannot be read: .* of .* bytes were there: it was changed while"):
        index_file(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("place", ["x.json", "annotations/instances.json"])
def test_a_json_in_another_encoding_is_named_as_that_with_the_way_out(tmp_path, encoding, place):
    path = tmp_path / "in" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(json.dumps(coco()).encode(encoding))
    source = path if place == "x.json" else tmp_path / "in"
    name = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}.get(encoding, encoding.upper())
    with pytest.raises(DatasetError, match=rf"\.json: is {name}, and JSON is UTF-8; save it as that: iconv") as caught:
        open_dataset(str(source), SourceOptions())
    way = str(caught.value).partition("save it as that: ")[2]
    if encoding in ("utf-16", "utf-32") and shutil.which("iconv"):
        subprocess.run(["sh", "-c", way], check=True, cwd=path.parent)
        assert json.loads((path.parent / "utf8.json").read_bytes()) == coco()


def test_labels_that_are_changed_after_the_source_was_looked_through_are_no_labels(tmp_path):
    path = write_json(tmp_path / "x.json", coco(rows=[row(1), row(2)]))
    write_picture(tmp_path / "a.jpg")
    dataset = open_dataset(str(path), SourceOptions())
    (entry,) = dataset.entries
    assert len(dataset.reader.annotations(entry).objects) == 2
    path.write_bytes(path.read_bytes().replace(b"[2, 1, 5, 4]", b"[2, 1, 5, 3]"))
    with pytest.raises(Reject) as caught:
        dataset.reader.annotations(entry)
    assert (caught.value.code, caught.value.transient) == ("changed", True)
