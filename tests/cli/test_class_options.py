"""``--classes`` and ``--map``, in every command that reads a dataset."""

from __future__ import annotations

import json

import pytest
from builders import coco, encoded, image, photo, row, write_json
from command_line import call
from runs import promised, records


def succeeds(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def animals(tmp_path):
    """COCO with cat 3, dog 5 and van 9 in two pictures."""
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    rows = [row(i, image_id=n, category_id=c) for i, (n, c) in enumerate([(1, 3), (1, 5), (2, 9), (2, 5)], start=1)]
    for name in ("a.jpg", "b.jpg"):
        (root / "images" / name).write_bytes(encoded(photo((20, 10))))
    names = [{"id": n, "name": name} for n, name in ((3, "cat"), (5, "dog"), (9, "van"))]
    document = coco([image(), image(id=2, file_name="b.jpg")], rows, categories=names)
    return write_json(root / "x.json", document)


def counted(source, *options):
    report = json.loads(succeeds("inspect", source, "--json", "-w", 0, *options))
    return {c["name"]: c["objects"] for c in report["classes"]}


def labels_of(folder):
    return sorted((o["category_id"], o["label"]) for r in records(folder).values() for o in r["objects"])


def test_names_choose_order_and_drop(animals, tmp_path):
    assert counted(animals, "--classes", "van,cat") == {"van": 1, "cat": 1}
    succeeds("augment", animals, tmp_path / "out", "-r", "gentle", "-w", 0, "--classes", "van, cat")
    assert labels_of(tmp_path / "out") == [(3, 2), (9, 1)]
    categories = json.loads((tmp_path / "out" / "manifest.json").read_text())["config"]["categories"]
    assert [(c["id"], c["label"], c["name"]) for c in categories] == [(3, 2, "cat"), (9, 1, "van")]
    result = call("inspect", animals, "-w", 0, "--classes", "van,cat")
    assert "left out: 1 class that is not chosen; objects: 2 of 'dog' (as in a.jpg)" in result.stdout


def test_a_single_name_and_a_file_of_names(animals, tmp_path):
    assert counted(animals, "--classes", "dog") == {"dog": 2}
    (tmp_path / "names.txt").write_text("dog\ncat\nowl\n")
    assert counted(animals, "--classes", tmp_path / "names.txt") == {"dog": 2, "cat": 1}
    said = call("inspect", animals, "-w", 0, "--classes", tmp_path / "names.txt").stdout
    assert "lists 1 class that" in said
    assert "'owl'" in said


def test_classes_become_one(animals, tmp_path):
    assert counted(animals, "--map", "cat=pet", "--map", "dog=pet") == {"pet": 3, "van": 1}
    (tmp_path / "map.txt").write_text("cat = pet\n\ndog=pet\n")
    assert counted(animals, "--map", tmp_path / "map.txt", "--classes", "pet") == {"pet": 3}


@pytest.mark.parametrize(("options", "message"), [
    (("--classes", "van,dgo"), "no class 'dgo'; did you mean 'dog'?"),
    (("--classes", "van,,dog"), "--classes van,,dog: expected a file, or names with commas between"),
    (("--classes", "none.txt"), "none.txt: cannot read the class names"),
    (("--map", "cta=pet"), "no class 'cta' to rename; did you mean 'cat'?"),
    (("--map", "cat"), "--map cat: expected OLD=NEW, or a file with one OLD=NEW a line"),
    (("--map", "cat=a", "--map", "cat=b"), "--map: 'cat' becomes 'a' and 'b'; choose one"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(animals, options, message):
    result = call("inspect", animals, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_run_goes_on_with_its_own_classes_and_with_no_others(animals, tmp_path):
    out, options = tmp_path / "out", ("--classes", "pet,van", "--map", "cat=pet", "--map", "dog=pet")
    succeeds("augment", animals, out, "-r", "gentle", "-w", 0, *options)
    whole = promised(out)
    for tar in out.glob("*.tar"):
        tar.unlink()
    succeeds("retry", out, "-w", 0)
    assert promised(out) == whole
    succeeds("verify", out, "--against", animals, "-w", 0)
    result = call("augment", animals, out, "-r", "gentle", "-w", 0, *options[:-2])
    assert result.exit_code == 2
    mixed = call("augment", animals, out, "-r", "gentle", "-w", 0, "--classes", "pet", *options[2:])
    assert mixed.exit_code == 2
    assert "keep" in mixed.stderr


def test_a_conversion_has_the_classes_that_are_asked(animals, tmp_path):
    result = call("convert", "coco-to-yolo", animals, tmp_path / "yolo", "-w", 0, "--classes", "van,cat")
    assert result.exit_code == 0
    assert "2 of 'dog'" in result.stderr
    assert (tmp_path / "yolo" / "labels" / "a.txt").read_text().split()[0] == "1"
    assert (tmp_path / "yolo" / "labels" / "b.txt").read_text().split()[0] == "0"
