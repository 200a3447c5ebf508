"""Convert a dataset to another format, exactly: no coordinate changes beyond the formats' conventions.

Nothing is clipped and nothing turned. What the target cannot hold is counted and reported. The source is only read, and
nothing is written outside the target, whatever a file calls its pictures.
"""

from augpipe.conversion.report import ConversionReport
from augpipe.conversion.run import convert

__all__ = ["ConversionReport", "convert"]
