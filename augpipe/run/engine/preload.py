"""Imported by the fork server: what makes shards, and OpenCV, which is otherwise loaded where it is first used.

A library that does not load fails again in the worker, which reports it; here it must not end the server.
"""

from contextlib import suppress
from importlib import import_module

for _name in ("augpipe.run.engine.worker", "augpipe.run.task", "cv2"):
    with suppress(BaseException):
        import_module(_name)
