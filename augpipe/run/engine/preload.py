"""Imported by the fork server: what makes shards, and OpenCV, which is otherwise loaded where it is first used.

What cannot be loaded is met again by the worker, which says so; here it must neither be printed nor end the server.
"""

from contextlib import suppress
from importlib import import_module

for _name in ("augpipe.run.engine.worker", "augpipe.run.task", "cv2"):
    with suppress(BaseException):
        import_module(_name)
