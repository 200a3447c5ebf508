"""An independent check of what a run has written: files, books, and every label measured from painted pixels."""

from augpipe.verify.run import open_source, verify
from augpipe.verify.verdict import Row, Verdict

__all__ = ["Row", "Verdict", "open_source", "verify"]
