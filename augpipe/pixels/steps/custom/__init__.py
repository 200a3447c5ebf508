"""A step that calls a function of the user's on pixels. The function is found by the digest of its file."""

from augpipe.pixels.steps.custom.step import Custom, needs_other_code

__all__ = ["Custom", "needs_other_code"]
