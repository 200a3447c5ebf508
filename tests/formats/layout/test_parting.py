"""Parting by a hash: against plain hashing here, shares kept, nothing moved by what is added, patterns bounded."""

from __future__ import annotations

import hashlib

import pytest

from augpipe.core.errors import UsageError
from augpipe.formats.layout.groups import groups_of
from augpipe.formats.layout.parting import Parting, part_of, plain_name, share_of

NAMES = [f"p{i // 4:03d}/slice_{i % 4}.png" for i in range(4000)]


def by_hand(name: str, val: float, test: float) -> str:
    """BLAKE2b of the name as a netstring; its first 53 bits as a fraction."""
    data = name.encode()
    digest = hashlib.blake2b(b"%d:%s," % (len(data), data), digest_size=8).digest()
    fraction = (int.from_bytes(digest, "big") // 2**11) / 2**53
    return "val" if fraction < val else "test" if fraction < val + test else "train"


def test_it_is_the_hash_of_the_name_and_nothing_else():
    splits, lone = Parting({"val": 0.1, "test": 0.2}).of(NAMES)
    assert splits == [by_hand(name, 0.1, 0.2) for name in NAMES]
    assert lone == 0
    assert abs(splits.count("val") - 400) < 100
    assert abs(splits.count("test") - 800) < 130


def test_pictures_that_are_added_move_none():
    parting = Parting({"val": 0.1})
    before, _ = parting.of(NAMES[::2])
    after, _ = parting.of(NAMES)
    assert after[::2] == before


def test_a_share_behind_others_takes_nothing_of_theirs():
    one, _ = Parting({"val": 0.1}).of(NAMES)
    two, _ = Parting({"val": 0.1, "test": 0.2}).of(NAMES)
    assert [a == "val" for a in one] == [b == "val" for b in two]


def test_groups_stay_together():
    splits, lone = Parting({"val": 0.3}, r"p(\d+)/").of([*NAMES, "other.png"])
    for first in range(0, len(NAMES), 4):
        assert len(set(splits[first : first + 4])) == 1
    assert set(splits) == {"train", "val"}
    assert lone == 1
    assert splits[0] == by_hand("000", 0.3, 0)


def test_groups_are_what_the_pattern_has_in_brackets_or_all_that_it_matches():
    assert groups_of(["a1_b2", "c3"], r"([a-z])\d_([a-z])") == [("a", "b"), None]
    assert groups_of(["a1_b2", "c3"], r"[a-z]\d") == [("a1",), ("c3",)]
    assert groups_of(["xb"], r"(a)?b") == [("",)]


@pytest.mark.parametrize(
    ("pattern", "said", "seconds"),
    [("(", "no regular expression", None), ("[", "unterminated", None), ("(a+)+$", "too long", 0.5)],
)
def test_patterns_that_cannot_be_or_never_end(pattern, said, seconds):
    with pytest.raises(UsageError, match=said) as caught:
        groups_of(["a" * 60 + "b"], pattern, seconds)
    assert "--group-by" in str(caught.value)


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.25", 0.25), ("2.5%", 0.025), ("0", 0), ("100%", 1)])
def test_shares_as_people_write_them(text, share):
    assert share_of(text, "--val") == share


@pytest.mark.parametrize("text", ["", "ten", "-5%", "10", "150%", "nan", "1e-3", "10%%", "٣%"])
def test_what_is_no_share(text):
    with pytest.raises(UsageError, match="--val"):
        share_of(text, "--val")


@pytest.mark.parametrize("shares", [{"val": 0.0}, {"val": 1.0}, {"val": 0.5, "test": 0.5}])
def test_shares_that_leave_nothing(shares):
    with pytest.raises(UsageError, match="--val"):
        Parting(shares).check()


def test_a_name_is_hashed_without_the_folder_of_its_split():
    assert plain_name("val/a.jpg", "val") == plain_name("train2017/a.jpg", "train") == "a.jpg"
    assert plain_name("val/a.jpg", "train") == "val/a.jpg"
    assert plain_name("val/a.jpg", "") == "val/a.jpg"
    assert part_of(("a.jpg",), {}) == "train"
