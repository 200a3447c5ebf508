"""The code blocks of README.md and docs/."""

from __future__ import annotations

import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Lines of code blocks, indented or fenced, that are augpipe commands."""
    code = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith(("    ", "\t"))]
    code += [line.strip().removeprefix("$ ") for _, block in FENCE.findall(text) for line in block.splitlines()]
    return [line for line in dict.fromkeys(code) if line.startswith("augpipe ")]
