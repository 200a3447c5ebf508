"""All hostile inputs, in the order of the table."""

from __future__ import annotations

import hostile_labels
import hostile_others
import hostile_pictures
from hostile import CASES, Case

GROUPS = (hostile_pictures, hostile_labels, hostile_others)
__all__ = ["CASES", "GROUPS", "Case"]
