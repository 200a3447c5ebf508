"""Files that are too large to be read at all."""

from __future__ import annotations

import pytest
from builders import keys, object_xml, opened, voc_xml, write_mask, write_picture, write_voc

from augpipe.core.errors import Reject
from augpipe.formats.limits import MOST_MARKS, require_small
from augpipe.storage.byte_range import LARGEST_FILE, ByteRange, bytes_of, read_place


def test_a_file_that_is_a_hole_is_not_read(tmp_path):
    path = tmp_path / "a\x1b.jpg"
    with open(path, "wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(Reject, match=r"a\\x1b\.jpg: 256 MiB; expected at most 256 for one file") as caught:
        read_place(ByteRange(str(path)))
    assert (caught.value.stage, caught.value.code, caught.value.transient) == ("read", "too-large", False)
    assert bytes_of(ByteRange(str(path))) == b""
    with pytest.raises(Reject, match=r"4,398,046,511,104 MiB; expected at most 256"):
        read_place(ByteRange(str(path), 0, 1 << 62))
    assert read_place(ByteRange(str(path), 5, 3)) == bytes(3)


def test_labels_have_a_limit_on_values():
    require_small([b"[" * MOST_MARKS + b"1" * MOST_MARKS], b"[{", "a.json")
    for data in (b"[" * (MOST_MARKS + 1), b"[{" * (MOST_MARKS // 2 + 1)):
        with pytest.raises(Reject, match=r"a\.json: more than 500,000 values in the labels of one picture"):
            require_small([data], b"[{", "a.json")
    with pytest.raises(Reject, match="33 MiB of labels for one picture; expected at most 32"):
        require_small([bytes(33 << 20)], b"[{", "a.json")


@pytest.mark.parametrize("form", ["voc", "imagefolder", "masks"])
def test_links_to_files_are_followed_and_to_folders_told(tmp_path, form):
    root, elsewhere = tmp_path / "set", write_picture(tmp_path / "elsewhere" / "x.jpg").parent
    folder = {"voc": "JPEGImages", "imagefolder": "cat", "masks": "images"}[form]
    if form == "voc":
        write_voc(root, {"a": voc_xml(object_xml())}, pictures=None)
    elif form == "masks":
        write_mask(root / "masks" / "a.png", [[1, 0], [0, 1]])
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "a.jpg").symlink_to(elsewhere / "x.jpg")
    (root / folder / "more").symlink_to(elsewhere)
    (root / folder / "round").symlink_to("..")
    dataset = opened(root, format=form)
    assert [key.rpartition("/")[2] for key in keys(dataset)] == ["a.jpg"]
    assert dataset.entries[0].picture is not None
    said = f"left out: {folder}/more and 1 more, a link to a folder, which is not followed; put the folder itself there"
    assert said in dataset.remarks
