"""What a backend is: encoded pictures and steps in, encoded pictures out.

The unit is one source picture with the steps of all its copies, so that it is decoded once. A backend turns a stream of
such jobs into a stream of results in the same order, the CPU one at a time, a GPU a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject, fault
from augpipe.core.plan import Step
from augpipe.pixels.codec.image import PictureFormat, as_memory_error

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class PictureJob:
    """One encoded source picture and the steps of each output wanted of it.

    The steps are for the picture decoded at 1/``scale_denominator`` of its size, see
    :mod:`augpipe.pixels.scaled_decode`.
    """

    data: bytes
    header: Header
    steps: tuple[tuple[Step, ...], ...]
    scale_denominator: int = 1


@dataclass(frozen=True)
class Rendered:
    """The outputs of one job in order: encoded pictures or rejects.

    ``fallback`` is ``pixels`` if the CPU ran the steps because the device had no memory.
    """

    pictures: tuple[bytes | Reject, ...]
    fallback: str = ""


@dataclass(frozen=True)
class BackendOptions:
    """Options of all backends."""

    picture: PictureFormat = field(default_factory=PictureFormat)
    keep_truncated: bool = False


class Backend(Protocol):
    """Turns jobs into encoded pictures."""

    def render(self, jobs: Iterable[PictureJob]) -> Iterator[Rendered]:
        """Results in the order of the jobs."""


def or_reject(stage: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Reject:
    """What ``make`` returns, or the reject of its picture, whatever it raises: one picture must not end a run."""
    try:
        return make(*args, **kwargs)
    except Reject as reject:
        return reject.bare()
    except Exception as error:  # OpenCV's own, mostly
        return fault(stage, as_memory_error(error))
