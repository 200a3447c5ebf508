"""Print the lowest versions that pyproject.toml declares, as constraints for pip; of torch, any will do.

``make lowest`` installs them and runs tests with them.
"""

from __future__ import annotations

import re

from installing import PROJECT

_ANY = ("torch",)


def lowest() -> list[str]:
    """A line for each requirement of the core and of training, such as ``numpy==2``."""
    listed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["train"]]
    found = [re.fullmatch(r"([\w.-]+)>=([\w.]+)", line) for line in listed]
    return [f"{match[1]}=={match[2]}" for match in found if match[1] not in _ANY]


if __name__ == "__main__":
    print("\n".join(lowest()))
