"""Pictures and labels behind a mesh are measured anew, by code of its own."""

from __future__ import annotations

import pytest
from builders import object_xml, voc_xml, write_picture, write_voc
from forge import forged
from runs import recipe_of, run
from verifying import problems, verified

BENT = """
version: 1
steps:
  - letterbox: {size: [120, 130]}
  - elastic: {strength: [0.05, 0.08]}
  - affine: {rotate: 30}
  - optical_distortion: {k: [0.2, 0.3]}
"""


@pytest.fixture
def folders(tmp_path):
    xml = voc_xml(object_xml("cat", (21, 15, 83, 77)), size=(140, 100))
    write_voc(tmp_path / "voc", {"a": xml}, pictures=None)
    write_picture(tmp_path / "voc" / "JPEGImages" / "a.jpg", (140, 100))
    run(tmp_path / "voc", tmp_path / "out", recipe_of(BENT), copies=3, seed=2)
    return tmp_path


def test_bent_labels_are_accepted_and_a_shift_is_noticed(folders):
    assert problems(verified(folders / "out", folders / "voc")) == []

    def shifted(samples):
        for record, *_ in samples.values():
            for row in record["objects"]:
                x0, y0, x1, y1 = row["box_xyxy"]
                row["box_xyxy"] = [x0, y0, x1 + 3.0, y1]
                row["area"] = round((x1 + 3.0 - x0) * (y1 - y0), 3)

    found = problems(verified(forged(folders / "out", folders / "f1", shifted), folders / "voc"))
    assert any(line.startswith("box corners") for line in found)


def test_another_mesh_is_noticed(folders):
    def other(samples):
        for record, *_ in samples.values():
            for step in record["plan"]["steps"]:
                if step["kind"] == "field":
                    step["control"] = [-v for v in step["control"]]

    assert problems(verified(forged(folders / "out", folders / "f2", other), folders / "voc"))
