"""What a step of a plan is, and the registry of step kinds.

A step kind is one file in :mod:`augpipe.pixels.steps`: a frozen struct with the step's parameters, and methods that say
what it does to pixels on each backend, and to labels. Nothing else in the program asks which kind a step is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.geometry import Matrix, Region

Pixels: TypeAlias = NDArray[Any]
"""A picture of uint8: (H, W) gray, or (H, W, 3)."""

Box: TypeAlias = tuple[int, int, int, int]

MOST_PARTS = 1000
"""Of a region's corners, boxes or stages in one step that is read from a record."""


# --- what a step says of labels --------------------------------------------------------------------------------------


class CanvasChange(msgspec.Struct, frozen=True):
    """What a step does to the canvas and so to labels, in this order.

    Attributes:
        matrix: the map of the whole canvas onto one of ``size_wh``; ``None`` if nothing moves.
        size_wh: of the new canvas.
        hidden_outside: a convex region; what lies outside it is gone, in pixels and labels.
        covered_xyxy: half-open boxes that are painted over; labels under them lose visibility.
    """

    matrix: Matrix | None = None
    size_wh: tuple[int, int] = (0, 0)
    hidden_outside: Region | None = None
    covered_xyxy: tuple[Box, ...] = ()


UNCHANGED = CanvasChange()


# --- what a step says to a device ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instruction:
    """A point operation that runs behind the kernel before it, while the pixels are in registers (``points.cu``).

    Attributes:
        kind: ``matrix``: out = clip((Σ qᵢ·vᵢ + q₃ + 512) >> 10) with the 12 ``values``; ``table``: out = table[v];
            ``noise``: ``values`` are scale and offset; the others paint ``fill`` outside a box, outside a region of
            ``count`` sides, or inside ``count`` boxes.
        fill: levels, one a channel.
        table: what the operation reads besides.
    """

    kind: Literal["matrix", "table", "noise", "outside_box", "outside_region", "boxes"]
    count: int = 0
    fill: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    table: bytes = b""


@dataclass(frozen=True)
class Pass:
    """One kernel on one picture.

    Attributes:
        kernel: its name in ``pixels/cuda/kernels/*.cu``.
        source_wh: size of the picture that it reads.
        target_wh: size of the picture that it writes.
        channels: 1 or 3, of both.
        target_bytes: that it writes; 0 stands for a byte a channel of each pixel.
        head: up to 72 bytes that the kernel finds in ``Pass::head``, behind the place of ``table`` if there is one.
        table: what does not fit there.
        fill: levels for ``fill_of()``, one a channel.
        border: for ``at_border()``.
        projective: for the kernel ``warp``.
        grid: (blocks, threads of a block), where a thread does not take four pixels.
        program: point operations on the pixels before they are written, of a ``PICTURE_KERNEL``.
    """

    kernel: str
    source_wh: tuple[int, int]
    target_wh: tuple[int, int]
    channels: int
    target_bytes: int = 0
    head: bytes = b""
    table: bytes = b""
    fill: tuple[int, ...] = ()
    border: int = 0
    projective: bool = False
    grid: tuple[int, tuple[int, int]] | None = None
    program: list[Instruction] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of the output."""
        return self.target_bytes or self.target_wh[0] * self.target_wh[1] * self.channels


# --- the step --------------------------------------------------------------------------------------------------------


class SharedSource(Protocol):
    """The decoded source, from which all copies of a picture start."""

    def means(self, reduce: tuple[int, int]) -> Pixels:
        """Rounded means of its blocks of (kx, ky) pixels, made once."""
        ...


class Step(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower, kw_only=True):
    """Base of the step kinds. A subclass registers with :func:`register`; its ``tag`` is its name in the JSON of plans.

    All backends give the same bytes; the reference is within a level or
    two where the step's description leaves freedom.
    """

    def fault(self, most_pixels: int) -> str | None:
        """Why the step of a record cannot be followed, in words; ``None`` if it can.

        Args:
            most_pixels: that a canvas may have; no number of a step needs to be larger.
        """
        return None

    def canvas_change(self) -> CanvasChange:
        """What the step does to labels."""
        return UNCHANGED

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        """The picture, in OpenCV's blue, green, red, after the step.

        Args:
            picture: may be written to and returned, unless ``source`` is given.
            source: given while ``picture`` is the decoded source, which other copies read, too.

        Raises:
            Reject: as :meth:`on_gpu`.
        """
        raise NotImplementedError

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass | Instruction]:
        """The kernels and point operations that do the step to a picture, in red, green, blue.

        Raises:
            Reject: ``too-large``, where the step cannot be done to a picture of this size.
        """
        raise NotImplementedError

    def reference(self, levels: F64) -> F64:
        """The step as its description says, slowly and without any code of a backend.

        Args:
            levels: whole numbers 0..255, (H, W, 3) in red, green, blue or (H, W, 1).

        Returns:
            The same, rounded once.
        """
        raise NotImplementedError

    def reduction(self) -> tuple[int, int]:
        """Sides of the blocks of pixels whose means are all that the step reads; (1, 1) if it reads pixels."""
        return (1, 1)

    def at_scale(self, scale_denominator: int) -> Self:
        """The same step for the picture at 1/``scale_denominator`` of its size, a divisor of both sides of a block."""
        raise TypeError(f"a picture at 1/{scale_denominator} of its size for {type(self).__name__}; expected a warp")


def fault_of_fill(fill: Sequence[int]) -> str | None:
    """What is wrong with a color, in words; ``None`` if nothing is."""
    return None if all(0 <= level <= 255 for level in fill) else f"the color {tuple(fill)}"


# --- the registry ----------------------------------------------------------------------------------------------------

_KINDS: dict[str, type[Step]] = {}

_StepT = TypeVar("_StepT", bound=Step)


def register(kind: type[_StepT]) -> type[_StepT]:
    """Class decorator: let plans hold steps of this kind.

    Raises:
        ValueError: another kind has its name.
    """
    name = str(kind.__struct_config__.tag)
    if _KINDS.setdefault(name, kind) is not kind:
        raise ValueError(f"two step kinds are called {name!r}: {_KINDS[name].__module__} and {kind.__module__}")
    return kind


def step_from_json(value: Any) -> Step:
    """A step from its JSON values.

    Raises:
        ValueError: the values are no step of a registered kind.
    """
    name = value.get("kind") if isinstance(value, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"{name!r} is no kind of step; expected one of {', '.join(sorted(_KINDS))}")
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from error
