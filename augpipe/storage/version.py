"""What a server says of a file beside its content, by which a file that has been changed there is told from itself.

Source: RFC 9110, 8.8. A strong ETag names the very bytes; a weak one does not, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

_LONGEST_ETAG = 1024
_WEAK = "W/"


class Version(NamedTuple):
    """A file as a server states it: bytes, −1 if there is none and 0 if it does not say; its strong ETag; its time."""

    size: int = 0
    etag: str = ""
    modified_ns: int | None = None

    def differs(self, now: Version) -> bool:
        """Whether the file is another one now, by the best that was said both times."""
        if self.size > 0 and now.size > 0 and self.size != now.size:
            return True
        if self.etag and now.etag:
            return self.etag != now.etag
        return None not in (self.modified_ns, now.modified_ns) and self.modified_ns != now.modified_ns


NO_FILE = Version(-1)


def version_of_info(info: Mapping[str, Any]) -> Version:
    """The version in what a file system of fsspec says of a file."""
    when = info.get("Last-Modified") or info.get("LastModified") or info.get("updated")
    return Version(int(info.get("size") or 0), _strong(info.get("ETag") or info.get("etag")), _time_of(when))


def version_of_answer(status: int, headers: Mapping[str, str]) -> Version:
    """The version that an answer to GET states; its size is that of the whole file."""
    size = headers.get("Content-Range", "").rpartition("/")[2] if status == 206 else headers.get("Content-Length", "")
    packed = headers.get("Content-Encoding", "identity") != "identity"  # the length is then another one
    return Version(
        int(size) if size.isascii() and size.isdigit() and len(size) < 20 and not packed else 0,
        _strong(headers.get("ETag")),
        _time_of(headers.get("Last-Modified")),
    )


def _strong(etag: object) -> str:
    text = etag if isinstance(etag, str) else ""
    return "" if text.startswith(_WEAK) or len(text) > _LONGEST_ETAG else text


def _time_of(when: object) -> int | None:
    """Nanoseconds since 1970 of a date of HTTP, or of a bucket's library."""
    try:
        if isinstance(when, str):
            when = parsedate_to_datetime(when) if "," in when else datetime.fromisoformat(when)
        if not isinstance(when, datetime):
            return None
        there = when if when.tzinfo else when.replace(tzinfo=UTC)
        return round(there.timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError, IndexError):  # it is hostile, or of a kind that nobody writes
        return None
