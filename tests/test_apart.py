"""Source and destination never lie in each other: a run must not change, nor --overwrite delete, what it reads."""

from __future__ import annotations

import shutil

import pytest
from builders import contents
from runs import recipe_of, run

from augpipe.errors import UsageError

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
