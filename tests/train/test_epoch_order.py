"""augpipe.train.order: permutations of every length, and how well they mix."""

from __future__ import annotations

import hashlib
import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch

from augpipe.train.order import Order, permuted

FROZEN = [(0, 1), (1, 1), (2, 0), (0, 0), (1, 0), (1, 3), (1, 2), (2, 1), (0, 2)]
FROZEN_WINDOW = [(0, 147), (0, 50), (1, 34), (1, 128)]


def whole(order: Order) -> list[tuple[int, int]]:
    return list(order.places(np.arange(order.total)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 16, 17, 100, 1023, 4096])
def test_it_is_a_permutation(n: int) -> None:
    for key in (b"a", b"b", b"c"):
        assert sorted(permuted(np.arange(n), n, key).tolist()) == list(range(n))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_all_permutations_of_a_few_come_about_as_often(n: int) -> None:
    draws = 400 * len(list(itertools.permutations(range(n))))
    counts = Counter(tuple(permuted(np.arange(n), n, str(key).encode()).tolist()) for key in range(draws))
    chi2 = sum((counts[p] - 400) ** 2 / 400 for p in itertools.permutations(range(n)))
    assert chi2 < {2: 15.1, 3: 25.7, 4: 58.0}[n]  # one in 10,000 of a fair draw (chi-square with n! - 1 degrees)


def test_every_element_goes_everywhere() -> None:
    """Each of 50 elements in each of 50 places over 5,000 keys: 2,500 Poisson counts of 100."""
    counts = np.zeros((50, 50), int)
    for key in range(5000):
        counts[np.arange(50), permuted(np.arange(50), 50, str(key).encode())] += 1
    assert abs(counts - 100).max() < 50  # 5 standard deviations
    assert counts.std() == pytest.approx(10, abs=1)


def test_neighbours_do_not_stay_neighbours() -> None:
    out = permuted(np.arange(10_000), 10_000, b"x")
    assert (abs(np.diff(out)) == 1).sum() < 12  # 2 are expected of a fair draw


def test_without_shuffle_it_is_as_written() -> None:
    assert whole(Order((3, 0, 2), 0, 0, 0)) == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]


@pytest.mark.parametrize("shuffle", [None, 1, 300, 1000, 5000])
def test_every_sample_comes_once(shuffle: int | None) -> None:
    counts = (500, 0, 321, 1, 700, 3)
    expected = [(shard, member) for shard, n in enumerate(counts) for member in range(n)]
    got = whole(Order(counts, shuffle, 7, 3))
    assert sorted(got) == expected
    assert got != expected


@pytest.mark.parametrize("shuffle", [4, 1279, 1280, 2560, 10**6])
def test_fewer_samples_than_a_run_has_are_mixed_too(shuffle: int) -> None:
    assert sorted(whole(Order((2, 3), shuffle, 7, 3))) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert len({tuple(whole(Order((2, 3), shuffle, 7, epoch))) for epoch in range(20)}) > 10


@pytest.mark.parametrize("shuffle", [None, 600])
def test_any_places_are_had_without_the_rest(shuffle: int | None) -> None:
    order = Order((300, 800, 100, 523), shuffle, 1, 2)
    everything = whole(order)
    some = np.array([1722, 0, 599, 600, 601, 7, 1200, 1199])
    assert list(order.places(some)) == [everything[i] for i in some]
    assert list(order.places(np.zeros(0, np.int64))) == []


def by_plain_numbers(index: int, n: int, key: bytes) -> int:
    """The same permutation in Python's integers, a cell at a time."""
    a = next(i for i in range(1, n + 1) if i * i >= n)
    b = -(-n // a)
    digest = hashlib.blake2b(key, digest_size=48).digest()
    keys = [int.from_bytes(digest[8 * i : 8 * i + 8], "little") for i in range(6)]

    def mixed(word: int) -> int:
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        return word ^ word >> 31

    while True:
        row, column = divmod(index, b)
        for i in (0, 2, 4):
            row = (row + mixed((column + keys[i]) % 2**64) % a) % a
            column = (column + mixed((row + keys[i + 1]) % 2**64) % b) % b
        index = row * b + column
        if index < n:
            return index


@pytest.mark.parametrize("n", [1, 2, 5, 12, 97, 1000])
def test_the_arithmetic_is_that_of_whole_numbers(n: int) -> None:
    assert permuted(np.arange(n), n, b"key").tolist() == [by_plain_numbers(i, n, b"key") for i in range(n)]


def test_the_order_is_the_same_on_every_machine() -> None:
    assert whole(Order((3, 4, 2), None, 0, 1)) == FROZEN
    assert list(Order((400, 400), 512, 5, 9).places(np.arange(4))) == FROZEN_WINDOW


@pytest.mark.parametrize("shuffle", [None, 600])
def test_seed_and_epoch_choose_the_order(shuffle: int | None) -> None:
    orders = {tuple(whole(Order((300, 400), shuffle, seed, epoch))) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_a_window_keeps_runs_of_neighbours_together() -> None:
    """A window of 2,560 is made of 256 runs of 10."""
    counts = (1000,) * 20
    first = {shard * 1000 + member for shard, member in Order(counts, 2560, 0, 0).places(np.arange(2560))}
    assert Counter(place // 10 for place in first) == Counter({place // 10: 10 for place in first})
    assert len({place // 1000 for place in first}) == 20


@pytest.mark.parametrize("shuffle", [None, 1000, 10_000])
def test_copies_of_a_picture_seldom_meet_in_a_batch(shuffle: int | None) -> None:
    """100,000 pictures in 4 copies, the copies of 250 pictures side by side in each shard: the worst layout."""
    order = Order((1000,) * 400, shuffle, 3, 0)
    places = np.array(list(order.places(np.arange(64 * 1500))))
    pictures = ((places[:, 0] * 1000 + np.random.default_rng(0).permutation(1000)[places[:, 1]]) // 4).reshape(-1, 64)
    shared = np.mean([64 - (np.unique(batch, return_counts=True)[1] == 1).sum() for batch in pictures])
    assert shared <= 0.1


@pytest.mark.parametrize("shuffle", [None, 1000, 100_000])
def test_the_first_place_of_four_million_takes_little_memory(shuffle: int | None) -> None:
    tracemalloc.start()
    try:
        next(Order((1000,) * 4000, shuffle, 0, 0).places(np.arange(1024)))
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    whole(Order((30, 40), None, 0, 0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_each_window_is_mixed_in_its_own_way() -> None:
    """Runs of two keep their order until windows mix them: which of a run comes first differs between windows."""
    order = Order((4096,), 512, 0, 0)
    places = np.array([member for _, member in order.places(np.arange(4096))]).reshape(8, 512)
    patterns = {tuple((window % 2).tolist()) for window in places}
    assert len(patterns) == 8
