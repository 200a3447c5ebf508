"""Source and destination never lie in each other: a run must not change, nor --overwrite delete, what it reads."""

from __future__ import annotations

import re
import shutil

import pytest
from builders import contents
from runs import recipe_of, run

from augpipe.core.errors import UsageError

FLIP = recipe_of("version: 1\nsteps:\n- horizontal_flip\n")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("source", ["all-000000.tar", "all-{{000000..000001}}.tar", "./all-000001.tar"])
def test_shards_of_the_destination_are_no_source_for_it(voc, tmp_path, source, overwrite):
    run(voc, tmp_path / "out", FLIP)
    before = contents(tmp_path / "out")
    with pytest.raises(UsageError, match=r"out: holds the source .*all-00000\d\.tar; choose another DST"):
        run(f"{tmp_path}/out/{source.format()}", tmp_path / "out", FLIP, overwrite=overwrite)
    assert contents(tmp_path / "out") == before


def test_a_link_does_not_hide_it(voc, tmp_path):
    run(voc, tmp_path / "out", FLIP)
    (tmp_path / "other").symlink_to(tmp_path / "out")
    with pytest.raises(UsageError, match="holds the source"):
        run(tmp_path / "other" / "all-000000.tar", tmp_path / "out", FLIP, overwrite=True)


def test_the_pictures_of_a_json_count_too(coco, tmp_path):
    shutil.copytree(coco, tmp_path / "coco")
    for folder in ("coco/images", "coco/images/out"):
        with pytest.raises(UsageError, match="lies in the source"):
            run(
                tmp_path / "coco" / "annotations" / "instances.json",
                tmp_path / folder,
                FLIP,
                images=tmp_path / "coco" / "images",
            )


def test_an_empty_source_says_so(tmp_path):
    with pytest.raises(UsageError, match="SRC is empty"):
        run("", tmp_path / "out", FLIP)


def test_pictures_that_are_all_missing_end_before_any_work(coco, voc, tmp_path):
    """Each of them would be a reject, after the folder was made and every annotation read."""
    from command_line import call

    shutil.copytree(coco / "annotations", tmp_path / "labels")
    shutil.copytree(voc / "Annotations", tmp_path / "voc" / "Annotations")
    json_file = next((tmp_path / "labels").glob("*.json"))
    for source, way in ((json_file, "--images DIR"), (tmp_path / "voc", "put them beside their labels")):
        for command in ("augment", "plan", "preview"):
            target = {"augment": [tmp_path / "out"], "plan": [], "preview": ["-o", tmp_path / "sheet.png"]}[command]
            result = call(command, source, *target, "-r", "gentle")
            assert result.exit_code == 2, command
            assert re.search(r": none of its \d+ pictures was found; the first is \w+.jpg\n", result.stderr)
            assert way in result.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "sheet.png").exists()
    found = call("augment", json_file, tmp_path / "out", "-r", "gentle", "--images", coco / "images", "-w", 0)
    assert found.exit_code == 0
    (tmp_path / "voc" / "JPEGImages").mkdir()
    shutil.copy(voc / "JPEGImages" / "img_000.jpg", tmp_path / "voc" / "JPEGImages")
    some = call("augment", tmp_path / "voc", tmp_path / "some", "-r", "gentle", "-w", 0, "--max-rejects", "100%")
    assert "rejected 8 samples" in some.stdout
