"""Which splits are augmented, how a set without splits is parted, and which patterns may name groups."""

from __future__ import annotations

import hashlib
import os
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augpipe.core.errors import DatasetError, UsageError
from augpipe.formats.layout.grouping import Grouping
from augpipe.formats.layout.parting import Parting, share_of
from augpipe.formats.layout.purposes import augmented_splits
from augpipe.formats.layout.splits import chosen_split, in_order, known_split, split_called

NAMES = st.one_of(
    st.sampled_from(["train", "val", "test", "minival", "fold1", "fold2", "trainval", "", "Extra", "held out"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).map(split_called),
)
SPLITS = st.dictionaries(NAMES, st.integers(1, 99), min_size=1, max_size=6)

# --- purposes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("splits", "augmented"),
    [
        (["train", "val", "test"], ["train"]),
        (["train"], ["train"]),
        ([""], [""]),
        (["sample_data"], ["sample_data"]),
        (["train", ""], ["train"]),
        (["train", "val", "minival"], ["train"]),
        (["trainval", "test"], ["trainval"]),
        (["train", "trainval"], ["train", "trainval"]),
    ],
)
def test_train_is_augmented_and_nothing_else_unasked(splits, augmented):
    assert augmented_splits(dict.fromkeys(splits, 3)) == augmented


@pytest.mark.parametrize(
    ("splits", "way"),
    [
        (["fold1", "fold2"], "--augment-split fold1 augments it, the others pass through; --split fold1"),
        (["val"], "--augment-split val"),
        (["val", "test"], "--augment-split val"),
        (["val", ""], "--augment-split none"),
    ],
)
def test_where_nothing_is_to_train_on_the_way_out_is_said(splits, way):
    with pytest.raises(UsageError, match="nothing would be augmented") as told:
        augmented_splits(dict.fromkeys(splits, 3))
    assert way in str(told.value)
    named = re.search(r"--augment-split (\S+)", str(told.value))[1]
    assert augmented_splits(dict.fromkeys(splits, 3), [named])  # and it is one


def test_names_may_be_aliases():
    splits = {"train": 3, "val": 2, "fold1": 1, "": 4}
    assert augmented_splits(splits, ["validation", "train2017"]) == ["train", "val"]
    assert augmented_splits(splits, ["none"]) == [""]
    assert augmented_splits(splits, (), ["fold1"]) == ["train", ""]


def test_who_says_what_passes_through_augments_the_rest_but_no_set_to_measure_by():
    assert augmented_splits({"train": 3, "val": 2, "fold1": 1, "fold2": 1}, (), ["fold2"]) == ["train", "fold1"]
    assert augmented_splits({"fold1": 1, "fold2": 1}, (), ["fold2"]) == ["fold1"]
    with pytest.raises(UsageError, match="nothing is left to augment"):
        augmented_splits({"train": 3, "val": 2}, (), ["training"])


@pytest.mark.parametrize("option", ["--augment-split", "--pass-split"])
def test_unknown_names_are_refused_with_those_that_are_there(option):
    names = {"augment" if option == "--augment-split" else "passed": ["nope"]}
    with pytest.raises(UsageError, match=rf"{option} nope: no such split; there are train, val, none"):
        augmented_splits({"train": 1, "val": 2, "": 3}, **names)


def test_a_split_cannot_be_both():
    with pytest.raises(UsageError, match="both name val"):
        augmented_splits({"train": 1, "val": 2}, ["val"], ["valid"])


@given(SPLITS, st.data())
def test_what_is_augmented_is_there_and_never_a_set_to_measure_by_unasked(splits, data):
    asked = data.draw(st.lists(st.sampled_from(sorted(splits)), unique=True))
    try:
        found = augmented_splits(splits, asked)
    except UsageError:
        assert not asked or "" in asked or len(asked) > len(set(splits))
        return
    assert found == [name for name in in_order(splits) if name in found]
    if asked:
        assert set(found) == set(asked)
    elif len(splits) > 1:
        assert all(known_split(name) == "train" or name.lower() == "trainval" for name in found)


@given(NAMES, NAMES)
def test_a_name_of_its_own_never_takes_anothers_place(one, other):
    """Only names that mean the same are found for each other."""
    found = chosen_split(one, [other])
    assert (found is None) == (split_called(one) != split_called(other))


# --- parting ---------------------------------------------------------------------------------------------------------


def keys(count: int) -> list[str]:
    return [f"scene{i // 5}/img_{i:04d}.jpg" for i in range(count)]


def test_a_share_is_a_share_and_told_by_the_key_alone():
    named = keys(4000)
    splits = dict(zip(named, Parting(0.1, 0.2).splits_of(named), strict=True))
    assert abs(list(splits.values()).count("val") - 400) < 80  # four deviations
    assert abs(list(splits.values()).count("test") - 800) < 110
    random.Random(3).shuffle(named)
    few = named[:50]
    assert Parting(0.1, 0.2).splits_of(few) == [splits[key] for key in few]


def test_the_number_is_that_of_blake2b():
    """By plain arithmetic, so that it is the same everywhere and for ever."""
    for key in keys(200):
        place = int(hashlib.blake2b(key.encode(), digest_size=8).hexdigest(), 16) / 2**64
        assert Parting(0.3).splits_of([key]) == ["val" if place < 0.3 else "train"]


@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1), st.floats(0.01, 0.5), st.floats(0, 0.4))
def test_each_key_is_in_one_split_and_a_larger_val_keeps_what_it_had(named, val, test):
    named = sorted(named)
    splits = Parting(val, test).splits_of(named)
    assert len(splits) == len(named)
    assert set(splits) <= {"train", "val", "test"}
    more = Parting(min(val * 1.5, 0.55), 0.0).splits_of(named)
    assert all(after == "val" for before, after in zip(splits, more, strict=True) if before == "val")


def test_groups_stay_together():
    named = keys(500)
    splits = Parting(0.3, 0.1, r"^(scene\d+)/").splits_of(named)
    of_group: dict[str, set[str]] = {}
    for key, split in zip(named, splits, strict=True):
        of_group.setdefault(key.partition("/")[0], set()).add(split)
    assert all(len(found) == 1 for found in of_group.values())
    assert {name for found in of_group.values() for name in found} == {"train", "val", "test"}


def test_a_key_without_a_group_is_alone_and_a_group_is_no_key():
    assert Grouping(r"^a(.)").group_of("xyz") is None
    assert Parting(0.5, group_by="zzz").splits_of(keys(40)) == Parting(0.5).splits_of(keys(40))


@pytest.mark.parametrize("text", ["0%", "100%", "10", "abc", "-5%", "1e1%", "", "10%%"])
def test_shares_that_are_none(text):
    with pytest.raises(UsageError, match="expected a share such as 10%"):
        share_of(text, "--val")


# --- patterns --------------------------------------------------------------------------------------------------------

HARMLESS = [r"^([^_]+)_", r"(scene\d+)/", r"^(\w+)_(\w+)\.jpg$", r"[ab]+x?", r"(?:ab){3}", r"a|b|c", r"(?P<g>\d{2,4})-"]
HOSTILE = [
    r"(a+)+$", r"(a|a)+$", r"(a*)*b", r"(.*)*", r"((a?)+)+$", r"(a|aa)+$", r"(?:a+){20}", r".*.*.*.*=.*", r"(.)\1+$",
    r"(?=a*)b", "a?" * 60 + "a" * 60, "(ab|ba)" * 27, r"(?:(?:a{0,9}){0,9}){0,9}", r"a{99999}", "(" * 190,
]  # fmt: skip


@pytest.mark.parametrize("pattern", HARMLESS)
@given(st.text("ab_scene/0123.jpgx-", max_size=40))
def test_the_group_is_what_re_finds(pattern, key):
    found = re.search(pattern, key)
    assert Grouping(pattern).group_of(key) == (found and (found[1] if found.re.groups else found[0]))


@pytest.mark.parametrize("pattern", HOSTILE)
def test_patterns_that_may_not_end_are_refused(pattern):
    with pytest.raises(UsageError, match="--group-by"):
        Grouping(pattern).check()


def test_a_long_key_is_refused_rather_than_searched():
    with pytest.raises(DatasetError, match="too many repeats for a name of 4,000 characters"):
        Grouping(r".*a.*b.*c").group_of("x" * 4000)


PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{0,3}", "{1,}", "*?", "^", "$"]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_whatever_is_taken_ends_in_time(pattern):
    try:
        Grouping(pattern).check()
    except UsageError:
        return
    before = os.times()
    for key in ("a" * 200 + "!", "ab" * 100 + "!"):
        Grouping(pattern).group_of(key)
    assert os.times().user - before.user < 20  # processor time; what hangs takes for ever
