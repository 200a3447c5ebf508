"""Random numbers as a pure function of (seed, source key, copy, path, parameter).

A number is 53 bits of the BLAKE2b digest of those five fields as netstrings. There is no state and no order of calls,
so the numbers are the same in every process, after every restart, and however the recipe around a step is edited.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence

_UNIT = 2.0**-53


def encode(*fields: str | int) -> bytes:
    """Fields as netstrings (length, colon, UTF-8), so that ("ab", "c") and ("a", "bc") differ."""
    # The name of a file that is not UTF-8 has lone surrogates in Python.
    parts = [str(field).encode("utf-8", "surrogatepass") for field in fields]
    return b"".join(b"%d:%s," % (len(part), part) for part in parts)


def rank(seed: int, key: str) -> bytes:
    """The sort key of ``key`` in the seeded order of keys."""
    return hashlib.blake2b(encode(seed, key)).digest()


class SampleRng:
    """The numbers of one output sample, (seed, source key, copy)."""

    def __init__(self, seed: int, key: str, copy: int) -> None:
        self._prefix = hashlib.blake2b(encode(seed, key, copy), digest_size=8)

    def unit(self, path: str, parameter: str) -> float:
        """A number in [0, 1) for one parameter of the operation at ``path``."""
        digest = self._prefix.copy()
        digest.update(_question(path, parameter))
        return (int.from_bytes(digest.digest(), "big") >> 11) * _UNIT


@functools.lru_cache(maxsize=4096)
def _question(path: str, parameter: str) -> bytes:
    """The fields that all samples of a recipe share, encoded once."""
    return encode(path, parameter)


class OpRng:
    """The numbers of one operation of one sample, each by the name of its parameter."""

    def __init__(self, rng: SampleRng, path: str) -> None:
        self._rng = rng
        self.path = path

    def unit(self, parameter: str) -> float:
        """Uniform in [0, 1)."""
        return self._rng.unit(self.path, parameter)

    def uniform(self, parameter: str, bounds: tuple[float, float]) -> float:
        """Uniform between two bounds."""
        low, high = bounds
        return low if low == high else low + self.unit(parameter) * (high - low)

    def integer(self, parameter: str, low: int, high: int) -> int:
        """Uniform among low, …, high."""
        return low if low == high else low + int(self.unit(parameter) * (high - low + 1))

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return p >= 1.0 or self.unit("p") < p


def smallest(uniforms: Sequence[float], weights: Sequence[float], n: int) -> list[int]:
    """A weighted choice of ``n`` indexes without replacement, in rising order.

    Each candidate gets a time, exponential with its weight as the rate, and the ``n`` least are chosen. So a candidate
    that is added or removed changes the choice only where it is chosen itself. Weight 0 is never chosen.
    Source: P. Efraimidis and P. Spirakis, *Weighted random sampling with a reservoir*, 2006.
    """
    return sorted(race(uniforms, weights)[:n])


def race(uniforms: Sequence[float], weights: Sequence[float]) -> list[int]:
    """The indexes of candidates by their times, exponential with their weights as the rates; weight 0 never arrives.

    A candidate that is added or removed leaves the others in their order.
    """
    # The u^(1/w) of Efraimidis and Spirakis is zero for all candidates when every weight is small; its logarithm never.
    times = [(-math.log1p(-u) / w, i) for i, (u, w) in enumerate(zip(uniforms, weights, strict=True)) if w > 0.0]
    return [i for _, i in sorted(times)]
