"""The order of an epoch: a sequence of (shard, member) of which any place is computed alone, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any, TypeAlias

import numpy as np

from augpipe.core.rng import encode

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
U64: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

_ROUNDS = 6
_RUNS_IN_A_WINDOW = 256


def permuted(indexes: Ints, n: int, key: bytes) -> Ints:
    """Where a permutation of 0 … n-1, chosen by ``key``, takes ``indexes``.

    A Feistel network over a × b ≥ n cells, walked on until the cell is one of the n (Black and Rogaway, Ciphers with
    arbitrary finite domains, 2002). The arithmetic is that of 64-bit integers, so it is the same everywhere.

    >>> permuted(np.arange(5), 5, b"one").tolist()
    [2, 4, 3, 0, 1]
    """
    a = isqrt(max(n - 1, 0)) + 1
    b = -(-n // a) or 1
    keys = np.frombuffer(hashlib.blake2b(key, digest_size=8 * _ROUNDS).digest(), "<u8")
    out = indexes.astype(np.uint64)
    left = np.arange(len(out))
    while len(left):
        out[left] = _rounds(out[left], np.uint64(a), np.uint64(b), keys)
        left = left[out[left] >= n]
    return out.astype(np.int64)


def _rounds(cells: U64, a: np.uint64, b: np.uint64, keys: U64) -> U64:
    row, column = cells // b, cells % b
    for even, odd in zip(keys[::2], keys[1::2], strict=True):
        row = (row + _mixed(column + even) % a) % a
        column = (column + _mixed(row + odd) % b) % b
    return row * b + column


def _mixed(words: U64) -> U64:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


@dataclass(frozen=True)
class Order:
    """The sequence of samples of one epoch.

    All samples of a picture lie in one shard, so mixing neighbours would not mix. With a ``shuffle`` of N, runs of
    N/256 neighbours from all shards are permuted, then the places inside each window of N.

    Attributes:
        counts: samples of each shard.
        shuffle: 0 keeps the order as written, ``None`` is any order with the same probability, N is as above.
        seed: any integer.
        epoch: any integer.
    """

    counts: tuple[int, ...]
    shuffle: int | None
    seed: int
    epoch: int

    @cached_property
    def total(self) -> int:
        """The number of samples."""
        return sum(self.counts)

    @cached_property
    def _ends(self) -> Ints:
        return np.cumsum(np.array(self.counts, np.int64))

    def places(self, positions: Ints) -> Iterator[tuple[int, int]]:
        """The (shard, member) at each of some positions in 0 … total-1."""
        written = self._written(np.asarray(positions, np.int64))
        shards = np.searchsorted(self._ends, written, side="right")
        members = written - self._ends[shards] + np.array(self.counts, np.int64)[shards] if len(written) else written
        return zip(shards.tolist(), members.tolist(), strict=True)

    def _written(self, positions: Ints) -> Ints:
        """The places, in the order as written, of positions in this one."""
        if self.shuffle == 0:
            return positions
        run = max(1, self.shuffle // _RUNS_IN_A_WINDOW) if self.shuffle is not None else 1
        if run == 1:
            return permuted(positions, self.total, self._key("places", 0))
        mixed = self._mixed_in_windows(positions, min(self.shuffle or self.total, self.total))
        runs = self.total // run  # what is left over is shorter than a run, and stays at the end
        if runs < 2:
            return mixed
        moved = permuted(np.minimum(mixed // run, runs - 1), runs, self._key("runs", 0)) * run + mixed % run
        return np.where(mixed < runs * run, moved, mixed)

    def _mixed_in_windows(self, positions: Ints, window: int) -> Ints:
        starts = positions // window * window
        out = np.empty_like(positions)
        for start in np.unique(starts).tolist():
            inside = starts == start
            size = min(window, self.total - start)
            out[inside] = start + permuted(positions[inside] - start, size, self._key("window", start))
        return out

    def _key(self, what: str, start: int) -> bytes:
        return encode(self.seed, self.epoch, what, start)
