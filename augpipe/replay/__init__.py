"""One sample of a folder made again from its plan and its source, by the code of the run that made it."""

from augpipe.replay.run import Replayed, replay

__all__ = ["Replayed", "replay"]
