"""Files that are too large to be read at all."""

from __future__ import annotations

import pytest

from augpipe.errors import Reject
from augpipe.formats.base import LARGEST_FILE, MOST_MARKS, Place, bytes_of, read_place, require_small


def test_a_file_that_is_a_hole_is_not_read(tmp_path):
    path = tmp_path / "a\x1b.jpg"
    with open(path, "wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(Reject, match=r"a\\x1b\.jpg: 256 MiB; expected at most 256 for one file") as caught:
        read_place(Place(str(path)))
    assert (caught.value.stage, caught.value.code, caught.value.transient) == ("read", "too-large", False)
    assert bytes_of(Place(str(path))) == b""
    with pytest.raises(Reject, match=r"4,398,046,511,104 MiB; expected at most 256"):
        read_place(Place(str(path), 0, 1 << 62))
    assert read_place(Place(str(path), 5, 3)) == bytes(3)


def test_labels_have_a_limit_on_values():
    require_small(b"[" * MOST_MARKS + b"1" * MOST_MARKS, b"[{", "a.json")
    for data in (b"[" * (MOST_MARKS + 1), b"[{" * (MOST_MARKS // 2 + 1)):
        with pytest.raises(Reject, match=r"a\.json: more than 500,000 values in the labels of one picture"):
            require_small(data, b"[{", "a.json")
    with pytest.raises(Reject, match="33 MiB of labels for one picture; expected at most 32"):
        require_small(bytes(33 << 20), b"[{", "a.json")
