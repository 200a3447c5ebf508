"""A step that calls a function of the user's on pixels. The function is found by the digest of its file."""

from augpipe.pixels.steps.custom.step import Custom, unknown_functions

__all__ = ["Custom", "unknown_functions"]
