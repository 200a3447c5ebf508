"""augrs, which has the names of Albumentations: the same script runs with it."""

from __future__ import annotations

import sys

import augrs
import harness

sys.modules["albumentations"] = augrs

import with_albumentations  # noqa: E402


class Composed(with_albumentations.Composed):
    """See :class:`harness.Augmenter`."""

    def seed(self, number: int) -> None:
        """Under another name."""
        self._compose.set_seed(number)


if __name__ == "__main__":
    harness.main(__doc__, Composed)
