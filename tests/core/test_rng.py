"""Random numbers: the formula, frozen answers, and choices by weight."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augpipe.core.rng import OpRng, SampleRng, encode, rank, smallest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text("0123456789:,", max_size=6)


def netstring(value):
    data = str(value).encode("utf-8")
    return str(len(data)).encode("ascii") + b":" + data + b","


def word(seed, key, copy, path, parameter):
    """The formula, written again from its description."""
    fields = b"".join(map(netstring, (seed, key, copy, path, parameter)))
    number = int(hashlib.blake2b(fields, digest_size=8).hexdigest(), 16)
    return math.ldexp(number >> 11, -53)


# --- the formula -----------------------------------------------------------------------------------------------------


@given(st.integers(), texts, st.integers(0, 10**6), texts, texts)
def test_a_word_is_the_digest_of_its_five_fields(seed, key, copy, path, parameter):
    assert SampleRng(seed, key, copy).unit(path, parameter) == word(seed, key, copy, path, parameter)


def test_frozen_answers():
    """A change here changes every dataset that was ever made: it needs a new version of the plan, not new numbers."""
    assert SampleRng(0, "a.jpg", 0).unit("rotate", "degrees") == 0.8811703153663607
    assert SampleRng(7, "VOC/2007_000027.jpg", 3).unit("one_of/gaussian_blur#2", "sigma") == 0.46772501260746224
    assert SampleRng(-1, "über/日本 1.png", 12).unit("a", "p") == 0.015889177188529224
    assert SampleRng(2**70, "", 0).unit("", "") == 0.3285993617715025
    assert encode(7, "é.jpg", 0) == b"1:7,6:\xc3\xa9.jpg,1:0,"
    assert rank(7, "x.jpg").hex().startswith("660a7053bb3820858ad764c15fd7d3d0b4de8fe3d8eee1d1")
    assert len(rank(7, "x.jpg")) == 64


def test_the_order_of_questions_does_not_matter():
    questions = [(f"step{i}", f"parameter{j}") for i in range(20) for j in range(20)]
    words = SampleRng(3, "k", 1)
    forwards = {q: words.unit(*q) for q in questions}
    backwards = {q: words.unit(*q) for q in reversed(questions)}
    assert forwards == backwards
    assert len(set(forwards.values())) == 400


@given(st.lists(texts | st.integers(0, 999), max_size=5), st.lists(texts | st.integers(0, 999), max_size=5))
def test_no_two_lists_of_fields_look_alike(a, b):
    assert (encode(*a) == encode(*b)) == (list(map(str, a)) == list(map(str, b)))


@given(st.text("a1:,", max_size=12))
def test_moving_the_border_between_fields_changes_the_encoding(text):
    encodings = [encode(text[:i], text[i:]) for i in range(len(text) + 1)]
    assert len(set(encodings)) == len(encodings)


def test_names_that_are_no_text_have_numbers_of_their_own():
    names = ["a\udcff.jpg", "a\udcfe.jpg", "aÿ.jpg", "a\ud800.jpg"]
    assert len({SampleRng(0, name, 0).unit("s", "p") for name in names}) == 4
    assert len({rank(0, name) for name in names}) == 4


def test_numbers_are_uniform():
    for asked in (
        [SampleRng(0, f"{i}.jpg", 0).unit("affine", "rotate") for i in range(20_000)],
        [SampleRng(0, "a.jpg", i).unit("affine", "rotate") for i in range(20_000)],
        [SampleRng(i, "a.jpg", 0).unit("affine", "rotate") for i in range(20_000)],
    ):
        assert min(asked) >= 0.0
        assert max(asked) < 1.0
        counts = Counter(int(u * 100) for u in asked)
        # Chi-square with 99 degrees of freedom: above 160 once in ten thousand times.
        assert sum((counts[i] - 200) ** 2 / 200 for i in range(100)) < 160
        lag = sum((a - 0.5) * (b - 0.5) for a, b in itertools.pairwise(asked)) / len(asked) * 12
        assert abs(lag) < 0.03


# --- a stream --------------------------------------------------------------------------------------------------------


def test_a_stream_asks_for_its_path():
    words = SampleRng(1, "k", 2)
    assert OpRng(words, "one_of/blur").unit("sigma") == word(1, "k", 2, "one_of/blur", "sigma")


def test_uniform_lies_between_its_bounds():
    values = [OpRng(SampleRng(0, "k", i), "s").uniform("x", (-3.0, 5.0)) for i in range(3000)]
    assert -3.0 <= min(values) < -2.98
    assert 4.98 < max(values) < 5.0
    assert values[0] == -3.0 + word(0, "k", 0, "s", "x") * 8.0
    assert OpRng(SampleRng(0, "k", 0), "s").uniform("x", (0.7, 0.7)) == 0.7


def test_integers_reach_both_ends_evenly():
    counts = Counter(OpRng(SampleRng(0, "k", i), "s").integer("n", -1, 2) for i in range(8000))
    assert sorted(counts) == [-1, 0, 1, 2]
    assert all(abs(n - 2000) < 150 for n in counts.values())
    assert OpRng(SampleRng(0, "k", 0), "s").integer("n", 4, 4) == 4


def test_integers_never_pass_the_end():
    class Last(SampleRng):
        def unit(self, path, parameter):
            return 1.0 - 2.0**-53

    for high in (0, 1, 2, 6, 255, 2**31 - 2, 2**31 - 1):
        assert OpRng(Last(0, "k", 0), "s").integer("n", 0, high) == high


def test_chance():
    always, never = ([OpRng(SampleRng(0, "k", i), "s").chance(p) for i in range(500)] for p in (1.0, 0.0))
    assert all(always)
    assert not any(never)
    took = sum(OpRng(SampleRng(0, "k", i), "s").chance(0.3) for i in range(8000))
    assert abs(took - 2400) < 130


# --- choices by weight -----------------------------------------------------------------------------------------------


def tickets(copy, count, first=0):
    words = SampleRng(0, "k", copy)
    return [words.unit(f"child{first + i}", "chosen") for i in range(count)]


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6, 1e-30, 1e5])
def test_shares_follow_the_weights_whatever_their_unit(unit):
    weights = [1.0 * unit, 2.0 * unit, 0.0, 5.0 * unit]
    counts = Counter(smallest(tickets(i, 4), weights, 1)[0] for i in range(8000))
    assert counts[2] == 0
    assert [round(counts[i] / 1000) for i in (0, 1, 3)] == [1, 2, 5]
    assert abs(counts[0] - 1000) < 120
    assert abs(counts[1] - 2000) < 160


def test_several_without_replacement():
    """The first goes by weight and the second by the weights that are left: 1/2·(3/5 + 2/5·…), worked out by hand."""
    weights = [5.0, 3.0, 2.0]
    pairs = Counter(tuple(smallest(tickets(i, 3), weights, 2)) for i in range(9000))
    total = sum(weights)
    for pair in [(0, 1), (0, 2), (1, 2)]:
        a, b = (weights[i] for i in pair)
        share = a / total * b / (total - a) + b / total * a / (total - b)
        assert abs(pairs[pair] / 9000 - share) < 0.02


def test_a_choice_is_in_rising_order_and_never_more_than_there_are():
    for i in range(200):
        chosen = smallest(tickets(i, 5), [1.0] * 5, 3)
        assert len(chosen) == 3
        assert chosen == sorted(set(chosen))
    assert smallest(tickets(0, 3), [1.0, 0.0, 1.0], 3) == [0, 2]
    assert smallest(tickets(0, 3), [1.0, 1.0, 1.0], 0) == []
    assert smallest([], [], 1) == []


def test_a_new_candidate_changes_the_choice_only_where_it_wins():
    won = 0
    for i in range(2000):
        before = smallest(tickets(i, 3), [1.0, 2.0, 1.0], 1)
        after = smallest(tickets(i, 4), [1.0, 2.0, 1.0, 1.0], 1)
        won += after == [3]
        assert after in (before, [3])
    assert 330 < won < 470


def test_a_ticket_of_zero_wins_and_cannot_break():
    assert smallest([0.5, 0.0, 0.5], [1.0, 1e-6, 1.0], 1) == [1]
    assert smallest([0.0, 0.0], [1.0, 1.0], 1) == [0]
