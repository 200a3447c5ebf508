"""The code blocks of README.md and docs/."""

from __future__ import annotations

import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_WHOLE = re.compile(r"`(augpipe (?:augment|convert) [^`]* --[^`…]*)`")
"""A command with options in a table, which is one to be run and not the name of one."""


def commands(text: str) -> list[str]:
    """Lines of code blocks, indented or fenced, and code in tables, that are whole augpipe commands."""
    code = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith(("    ", "\t"))]
    code += [line.strip().removeprefix("$ ") for _, block in FENCE.findall(text) for line in block.splitlines()]
    code += [cell for line in text.splitlines() if line.startswith("|") for cell in _WHOLE.findall(line)]
    return [line for line in dict.fromkeys(code) if line.startswith("augpipe ")]
