"""Pictures under another name than the labels give."""

from __future__ import annotations

import pytest

from augpipe.formats.layout.name_matching import Match, match_names, rule_remarks


@pytest.mark.parametrize(
    ("wanted", "there", "rule"),
    [
        ("a.JPG", "a.jpg", "letter case"),
        ("Images/A.jpg", "images/a.jpg", "letter case"),
        ("my%20photo.jpg", "my photo.jpg", "percent-encoding"),
        ("my photo.jpg", "my%20photo.jpg", "percent-encoding"),
        ("https:/example.com/images/a.jpg", "images/a.jpg", "URL"),
        ("https://example.com/images/a%20b.jpg?X-Amz-Date=1&x=/y", "images/a b.jpg", "URL"),
        ("s3://bucket/images/a.jpg", "images/a.jpg", "URL"),
        ("3d7a1e2b-a.jpg", "a.jpg", "upload prefix"),
        ("a.jpg", "3d7a1e2b-a.jpg", "upload prefix"),
        ("data/images/a.jpg", "images/a.jpg", "more folders"),
        ("a.jpg", "images/train/a.jpg", "more folders"),
        ("https:/example.com/data/upload/1/3d7a1e2b-a.jpg", "a.jpg", "more folders, upload prefix"),
        ("label-studio/media/upload/4/cb0618f6-B_1.png", "cb0618f6-B_1.png", "more folders"),
        ("a.png", "a.jpg", "another ending"),
        ("x/A.png", "a.jpg", "another ending, letter case"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg", ""),
    ],
)
def test_one_picture_fits(wanted, there, rule):
    assert match_names([wanted], [there, "other.jpg"]) == {wanted: Match(there, rule)}


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("val/1.jpg", ["train/1.jpg"]),  # another split's
        ("images/val/1.jpg", ["images/train/1.jpg"]),
        ("1.jpg", ["train/1.jpg", "val/1.jpg"]),  # which of them?
        ("a.png", ["a.jpg", "a.bmp"]),
        ("a.jpg", ["b.jpg"]),
        ("a.jpg", []),
        ("", ["a.jpg"]),
        ("b0618f6-a.jpg", ["a.jpg"]),  # seven digits are no upload
        ("Straße.jpg", ["Strasze.jpg"]),
    ],
)
def test_no_picture_is_guessed(wanted, there):
    assert match_names([wanted], there) == {}


def test_a_picture_that_two_names_fit_belongs_to_neither():
    assert match_names(["a.png", "a.bmp"], ["a.jpg"]) == {}
    assert match_names(["A.jpg", "a.JPG"], ["a.jpg"]) == {}


def test_a_picture_with_a_name_of_its_own_is_not_taken():
    assert match_names(["a.JPG"], ["a.jpg"], taken={"a.jpg"}) == {}


def test_the_strictest_rule_decides():
    there = ["images/a.jpg", "A.jpg", "a.png"]
    assert match_names(["a.JPG"], there) == {"a.JPG": Match("A.jpg", "letter case")}
    assert match_names(["x/a.jpg"], ["a.jpg", "A.JPG"]) == {"x/a.jpg": Match("a.jpg", "more folders")}


def test_work_grows_with_the_number_of_names(monkeypatch):
    forms = []
    monkeypatch.setattr("augpipe.formats.layout.name_matching.unquote", lambda name: forms.append(name) or name)
    for n in (100, 1000):
        forms.clear()
        match_names([f"u/{i:05}.jpg" for i in range(n)], [f"{i:05}.png" for i in range(n)])
        assert len(forms) <= 30 * n


def test_remarks_count_and_give_an_example():
    found = match_names(["a.JPG", "b.JPG", "x/c.jpg"], ["a.jpg", "b.jpg", "c.jpg"])
    assert rule_remarks(found) == [
        "2 pictures found by another name (letter case): a.JPG is a.jpg",
        "1 picture found by another name (more folders): x/c.jpg is c.jpg",
    ]
