"""``--strict``: a picture of which reading had to drop, mend or guess a label is lost as a whole, and says so."""

from __future__ import annotations

from augpipe.errors import Reject
from augpipe.sample import Annotations

SOUND = frozenset({"exif-upright", "exif-turned"})
"""Notes that say how labels were read, where nothing was lost, changed or guessed."""

_MOST = 3


def require_sound(annotations: Annotations) -> None:
    """Refuse labels that are not read whole and as they stand.

    Raises:
        Reject: ``strict``, with what was found.
    """
    found = [note for note in annotations.notes if note not in SOUND]
    found += [f"object {dropped.index} dropped: {dropped.reason}" for dropped in annotations.dropped]
    if found:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise Reject("labels", "strict", f"{', '.join(found[:_MOST])}{more}")
