"""augpipe.train.dealing: what ranks and workers take, held against a round that is dealt by hand."""

from __future__ import annotations

import random

import pytest

from augpipe.train.dealing import Deal


def dealt_by_hand(total: int, unit: int, ranks: int, even: str, start: int) -> list[list[list[int]]]:
    """The batches of each rank: whole batches go round, and what is left for no whole round is shared out."""
    left = list(range(start, total))
    if even == "drop":
        left = left[: len(left) - len(left) % ranks]
    while even == "pad" and len(left) % ranks:
        left.append(left[-1] + 1)
    out: list[list[list[int]]] = [[] for _ in range(ranks)]
    while len(left) >= unit * ranks:
        for rank in range(ranks):
            out[rank].append(left[:unit])
            left = left[unit:]
    cuts = [len(left) * rank // ranks for rank in range(ranks + 1)]
    for rank in range(ranks):
        if cuts[rank + 1] > cuts[rank]:
            out[rank].append(left[cuts[rank] : cuts[rank + 1]])
    return out


def test_random_deals_are_those_by_hand() -> None:
    chosen = random.Random(0)
    for _ in range(600):
        total, unit, ranks = chosen.randrange(200), chosen.randint(1, 17), chosen.randint(1, 9)
        even, start = chosen.choice(("drop", "pad", "keep")), chosen.randint(0, total)
        deal = Deal(total, unit, ranks, even, start)  # type: ignore[arg-type]
        by_hand = dealt_by_hand(total, unit, ranks, even, start)
        workers = chosen.randint(1, 4)
        for rank in range(ranks):
            parts = [list(map(list, deal.batches(rank, worker, workers))) for worker in range(workers)]
            in_turn = [parts[i % workers][i // workers] for i in range(sum(map(len, parts)))]
            assert in_turn == by_hand[rank]
            assert deal.count(rank) == sum(map(len, by_hand[rank]))
        if even != "keep":
            assert len({len(batches) for batches in by_hand}) == 1
        assert sum(deal.count(rank) for rank in range(ranks)) == total - start + deal.added


def test_what_is_done_is_a_beginning() -> None:
    deal = Deal(100, 4, 3, "drop")
    for batches in range(1, 8):
        taken = sorted(p for rank in range(3) for b in list(deal.batches(rank))[:batches] for p in b)
        assert taken == list(range(deal.done(4 * batches, 0) or 0))
    assert deal.done(5, 0) is None
    assert deal.done(deal.count(0), 0) == 100


def test_a_rank_with_one_sample_more_is_not_done_before_it() -> None:
    deal = Deal(27, 4, 2, "keep")
    assert [deal.count(rank) for rank in range(2)] == [13, 14]
    assert [deal.done(13, rank) for rank in range(2)] == [27, None]
    assert deal.done(14, 1) == 27


def test_no_more_than_a_sample_for_each_other_rank_is_left_out() -> None:
    assert Deal(1000, 64, 8, "drop").added == 0
    assert Deal(1005, 64, 8, "drop").added == -5
    assert Deal(1005, 64, 8, "pad").added == 3
    assert Deal(1005, 64, 8, "keep").added == 0
    assert Deal(60, 1, 64, "pad").added == 4


@pytest.mark.parametrize("ranks", [1, 2])
def test_nothing_is_dealt_of_nothing(ranks: int) -> None:
    assert [list(Deal(0, 4, ranks, "pad").batches(rank)) for rank in range(ranks)] == [[]] * ranks
