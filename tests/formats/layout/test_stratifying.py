"""Parting by classes: shares are counted by plain sums, and compared with what the hash alone gives."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from builders import needs, object_xml, opened, voc_xml, write_mask, write_picture, write_voc
from command_line import call
from places import SHARED

from augpipe.core.errors import Reject
from augpipe.formats.layout.parting import Parting, place_of_text
from augpipe.formats.layout.stratifying import Unit, chosen_splits, class_counts, split_entries


def drawn(seed: int, pictures: int = 300) -> dict[str, Counter]:
    """Pictures with objects of seven classes, from everywhere to rare, some of them in crowds of twenty."""
    numbers = random.Random(seed)
    out = {}
    for i in range(pictures):
        counts = Counter()
        for k, chance in enumerate((0.9, 0.5, 0.3, 0.2, 0.12, 0.08)):
            if numbers.random() < chance:
                counts["object", str(k)] += numbers.choice((1, 1, 2, 3, 8))
        if numbers.random() < 0.03:
            counts["object", "6"] += 5
        out[f"p{i}.jpg"] = counts
    return out


def errors(pictures: dict[str, Counter], splits: dict[str, str], shares: dict[str, float]) -> dict:
    """Class → the largest |its share in a split − share asked for|, of classes with 20 objects or more."""
    total = sum(pictures.values(), Counter())
    held = {c: Counter() for c in total}
    for name, counts in pictures.items():
        for c, n in counts.items():
            held[c][splits[name]] += n
    return {c: max(abs(held[c][s] / n - share) for s, share in shares.items()) for c, n in total.items() if n >= 20}


def units(pictures: dict[str, Counter]) -> list[Unit]:
    return [Unit((place_of_text(name), name), counts) for name, counts in pictures.items()]


ASKED = {"val": {"train": 0.9, "val": 0.1}, "both": {"train": 0.7, "val": 0.2, "test": 0.1}}


@pytest.mark.parametrize("asked", list(ASKED))
@pytest.mark.parametrize("seed", range(4))
def test_each_class_has_its_share(seed, asked):
    pictures, shares = drawn(seed), ASKED[asked]
    chosen = dict(zip(pictures, chosen_splits(units(pictures), shares), strict=True))
    plain = Parting(shares["val"], shares.get("test", 0.0)).splits_of(pictures)
    off = errors(pictures, chosen, shares)
    total = sum(pictures.values(), Counter())
    for name, error in off.items():
        half_a_picture = max(counts[name] for counts in pictures.values()) / total[name] / 2
        assert error < 0.01 + half_a_picture
    assert max(off.values()) < max(errors(pictures, dict(zip(pictures, plain, strict=True)), shares).values())
    sizes = Counter(chosen.values())
    assert all(abs(sizes[name] / len(pictures) - share) < 0.02 for name, share in shares.items())


def test_order_says_nothing():
    pictures = drawn(9)
    expected = dict(zip(pictures, chosen_splits(units(pictures), ASKED["both"]), strict=True))
    for seed in range(3):
        names = list(pictures)
        random.Random(seed).shuffle(names)
        mixed = {name: Counter(dict(reversed(list(pictures[name].items())))) for name in names}
        assert dict(zip(mixed, chosen_splits(units(mixed), ASKED["both"]), strict=True)) == expected


def made(root, count: int = 40):
    """VOC of clips of two pictures each; a cat in each, and in every fifth clip a dog."""
    xmls = {
        f"c{i // 2:02d}_{i % 2}": voc_xml(object_xml(), *([object_xml("dog")] if i // 2 % 5 == 0 else []))
        for i in range(count)
    }
    return write_voc(root, xmls)


def test_groups_stay_together(tmp_path):
    dataset = opened(made(tmp_path))
    names = [e.key for e in dataset.entries]
    parting = Parting(0.25, group_by=r"^(c\d+)_", stratify=True)
    splits, told = split_entries(dataset.reader, dataset.entries, names, parting)
    groups = {}
    for name, split in zip(names, splits, strict=True):
        groups.setdefault(name[:3], set()).add(split)
    assert all(len(found) == 1 for found in groups.values())
    dogs = Counter(s for n, s in zip(names, splits, strict=True) if int(n[1:3]) % 5 == 0)
    assert (dogs, Counter(splits)) == ({"train": 6, "val": 2}, {"train": 30, "val": 10})
    assert told == ["val has 25.0% to 25.0% of each class with 20 labels or more, for 25%"]


def test_dataset_split_and_augment_part_alike(tmp_path):
    root, out = made(tmp_path / "voc"), tmp_path / "out"
    options = ("--val", "25%", "--stratify", "-w", 0)
    result = call("dataset", "split", root, tmp_path / "split", *options)
    assert result.exit_code == 0, result.output
    assert "parted by classes: train 30, val 10" in result.output
    lists = {
        s: set((tmp_path / "split" / "ImageSets" / "Main" / f"{s}.txt").read_text().split()) for s in ("train", "val")
    }
    assert sum(int(name[1:3]) % 5 == 0 for name in lists["val"]) == 2
    result = call("augment", root, out, "-r", "gentle", *options)
    assert result.exit_code == 0, result.output
    config = json.loads((out / "run.json").read_text())["config"]
    assert config["parting"] == {"val": 0.25, "stratify": True}
    sources = {k.rsplit(".", 1)[0].rsplit("/", 1)[-1] for file in out.glob("val-*.json")
               for k in json.loads(file.read_text())["task"]["sources"]}  # fmt: skip
    assert sources == lists["val"]
    assert call("verify", out, "--against", root, "-w", 0).exit_code == 0


def test_without_shares_there_is_nothing_to_stratify(tmp_path):
    result = call("dataset", "split", made(tmp_path / "voc", 4), tmp_path / "out", "--stratify", "-w", 0)
    assert (result.exit_code, "--stratify is about how --val or --test part a set" in result.stderr) == (2, True)


def test_what_counts_as_a_class(tmp_path):
    write_picture(tmp_path / "images" / "a.png", (3, 2))
    write_mask(tmp_path / "masks" / "a.png", [[0, 4, 4], [7, 7, 7]])
    dataset = opened(tmp_path)
    assert class_counts(dataset.reader, dataset.entries) == [{("pixels", "4"): 1, ("pixels", "7"): 1}]

    class Broken:
        def annotations(self, entry):
            raise Reject("labels", "bad-json", "broken")

    assert class_counts(Broken(), dataset.entries) == [Counter()]


@needs("bccd")
def test_blood_cells_are_within_a_quarter_of_a_point():
    """What docs/sets.md says."""
    dataset = opened(SHARED / "bccd" / "BCCD", format="voc")
    names = [e.key for e in dataset.entries]
    counts = class_counts(dataset.reader, dataset.entries)
    pictures = dict(zip(names, counts, strict=True))
    for val, test in ((0.1, 0.0), (0.1, 0.1), (0.2, 0.2)):
        parting = Parting(val, test, stratify=True)
        splits, _ = split_entries(dataset.reader, dataset.entries, names, parting)
        plain = Parting(val, test).splits_of(names)
        assert max(errors(pictures, dict(zip(names, splits, strict=True)), parting.shares).values()) < 0.0025
        assert max(errors(pictures, dict(zip(names, plain, strict=True)), parting.shares).values()) > 0.039
