"""Random numbers as a pure function of what they are for.

``word(seed, source key, copy, path, parameter)`` is the BLAKE2b digest of those five fields, each written with its
length before it so that no two lists of fields look alike; 53 bits of it make a number in [0, 1). There is no state and
no order of calls: the same question has the same answer in every process, after every restart, and however the recipe
around it is edited. Nothing here depends on a promise of NumPy's generators.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence

_UNIT = 2.0**-53


def encode(*fields: str | int) -> bytes:
    """Fields as netstrings (length, colon, UTF-8), so that ("ab", "c") and ("a", "bc") differ."""
    # A file's name that is no UTF-8 reaches Python as lone surrogates; it has its own numbers as any other.
    parts = [str(field).encode("utf-8", "surrogatepass") for field in fields]
    return b"".join(b"%d:%s," % (len(part), part) for part in parts)


def rank(seed: int, key: str) -> bytes:
    """Where ``key`` stands in the seeded order of keys: sort by this."""
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
    """The fields that every sample of a recipe has in common, encoded once."""
    return encode(path, parameter)


class OpRng:
    """The numbers of one operation of one sample; each parameter asks by its own name."""

    def __init__(self, words: SampleRng, path: str) -> None:
        self._words = words
        self.path = path

    def unit(self, parameter: str) -> float:
        """Uniform in [0, 1)."""
        return self._words.unit(self.path, parameter)

    def uniform(self, parameter: str, bounds: tuple[float, float]) -> float:
        """Uniform between two bounds."""
        low, high = bounds
        return low if low == high else low + self._words.unit(self.path, parameter) * (high - low)

    def integer(self, parameter: str, low: int, high: int) -> int:
        """Uniform among low, …, high."""
        return low if low == high else low + int(self._words.unit(self.path, parameter) * (high - low + 1))

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return p >= 1.0 or self.unit("p") < p


def smallest(uniforms: Sequence[float], weights: Sequence[float], n: int) -> list[int]:
    """A weighted choice of ``n`` indexes without replacement, in rising order.

    Each candidate runs its own race, the time being exponential with its weight as the rate, and the first ``n`` win.
    So a candidate that is added or removed changes the choice only where it wins or won. Weight 0 does not run.
    Source: P. Efraimidis and P. Spirakis, *Weighted random sampling with a reservoir*, 2006.
    """
    # Their u^(1/w) is zero for all candidates when every weight is small; its logarithm never is.
    times = [(-math.log1p(-u) / w, i) for i, (u, w) in enumerate(zip(uniforms, weights, strict=True)) if w > 0.0]
    return sorted(i for _, i in sorted(times)[:n])
