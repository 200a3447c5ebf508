"""An independent check of what a run has written: files, books, and every label measured from painted pixels."""

from augpipe.verification.dataset_files import verify_dataset
from augpipe.verification.findings import MeasureRow, Verdict
from augpipe.verification.run import open_source, verify

__all__ = ["MeasureRow", "Verdict", "open_source", "verify", "verify_dataset"]
