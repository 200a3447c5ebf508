"""Waiting for servers that ask for it (``Retry-After``), and counting how often and how long."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_BUSY = (429, 503)


class Waited(NamedTuple):
    """How often and how many seconds this process has waited for servers that asked for it."""

    times: int = 0
    seconds: float = 0.0

    def since(self, before: Waited) -> Waited:
        return Waited(self.times - before.times, self.seconds - before.seconds)


_waits: list[float] = []
"""Seconds of each wait. Lists of Python are added to by one thread at a time."""


def waited() -> Waited:
    """Of this process so far."""
    return Waited(len(_waits), sum(_waits))


def count(seconds: float) -> None:
    """Count a wait."""
    _waits.append(seconds)


def asked_for(causes: Iterable[BaseException]) -> float | None:
    """Seconds that a busy server (429, 503) asks to wait in one of the errors; ``None`` if it does not say.

    Source: RFC 9110, 10.2.3: a number of seconds, or a date.
    """
    for error in causes:
        status, headers = _answer_of(error)
        if status in _BUSY and (said := {k.lower(): v for k, v in headers.items()}.get("retry-after")) is not None:
            return _seconds(str(said))
    return None


def _answer_of(error: BaseException) -> tuple[Any, Mapping[str, Any]]:
    """Status and headers of an answer in an error of aiohttp or of botocore."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        about = response.get("ResponseMetadata", {})
        return about.get("HTTPStatusCode"), about.get("HTTPHeaders") or {}
    return getattr(error, "status", None), getattr(error, "headers", None) or {}


def _seconds(said: str) -> float | None:
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)
