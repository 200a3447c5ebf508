"""Names that belong together by a pattern, as the slices of one patient or the frames of one video.

A user's pattern may take longer than anybody waits on some name, and nothing stops Python's ``re`` in its own process.
So it works in another one, which has so much time and memory and no more.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from augpipe.core.errors import UsageError, one_line
from augpipe.core.processes import python_command

_SECONDS, _SECONDS_A_NAME = 20.0, 0.001  # a name takes some microseconds
_MEMORY = 2 << 30
_CODE = f"""
import json, re, resource, sys
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY} if hard < 0 else min(hard, {_MEMORY}), hard))
asked = json.load(sys.stdin)
try:
    search = re.compile(asked["pattern"]).search
except (re.error, OverflowError, RecursionError) as error:
    json.dump({{"error": str(error)}}, sys.stdout)
else:
    found = map(search, asked["names"])
    json.dump({{"groups": [m and [g or "" for g in m.groups() or (m[0],)] for m in found]}}, sys.stdout)
"""


def groups_of(names: Sequence[str], pattern: str, seconds: float | None = None) -> list[tuple[str, ...] | None]:
    """For each name what the groups of ``pattern`` match in it, all of the match if it has no groups, else ``None``.

    Args:
        names: to look through.
        pattern: a regular expression of Python, found anywhere in a name.
        seconds: that it may take; if not given, a thousand times as many as a plain pattern takes.

    Raises:
        UsageError: it is no regular expression, or takes too long or too much memory.
    """
    shown = f"--group-by {one_line(pattern, 80)}"
    limit = _SECONDS + _SECONDS_A_NAME * len(names) if seconds is None else seconds
    asked = json.dumps({"pattern": pattern, "names": list(names)}).encode()
    try:
        done = subprocess.run(
            python_command(f"exec({_CODE!r})"), input=asked, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{shown}: takes too long on these names; leave out repeats within repeats") from None
    except OSError as error:
        raise UsageError(f"{shown}: no process for it starts: {error.strerror}; leave it out") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise UsageError(f"{shown}: cannot be worked out ({one_line(said, 80)}); give a simpler one")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise UsageError(f"{shown}: is no regular expression: {one_line(answer['error'], 80)}")
    return [None if group is None else tuple(group) for group in answer["groups"]]
