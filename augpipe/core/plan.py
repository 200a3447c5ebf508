"""A Plan: every decision for one output sample as plain frozen data, JSON in and JSON out.

A plan holds no randomness and no pixels. A backend turns its steps into pixels, :mod:`augpipe.labels.transform` turns
the same steps into labels, and both get the same answer wherever and whenever they do it.

A step kind is one file in :mod:`augpipe.pixels.steps`: a frozen struct with the step's parameters, and methods that say
what it does to pixels on each backend, and to labels. It registers here; no other code asks which kind a step is of.

Colours are RGB levels 0..255. A gray picture takes a colour's luma (0.299, 0.587, 0.114) instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.errors import one_line
from augpipe.core.geometry import IDENTITY, Matrix, Region
from augpipe.core.mesh import Mesh

VERSIONS = (1, 2)
"""Versions of a plan's JSON that are read."""

LONGEST_SIDE = 32_766
"""The longest side of a picture that can be warped: ``cv2.remap`` has 16-bit positions. Copies have no such limit."""

Rgb: TypeAlias = tuple[int, int, int]
Border: TypeAlias = Literal["constant", "replicate", "reflect", "wrap"]


class Matrix3x4(msgspec.Struct, frozen=True, tag="matrix", tag_field="stage", omit_defaults=True):
    """(r, g, b) → ``rows`` · (r, g, b, 1), entries on a grid of 1/1024; the sum is rounded half up, then clipped.

    Row-major, 12 numbers. A gray level v stands for (v, v, v) and comes back as the first row's value, or as
    ``gray``[0]·v + ``gray``[1] where that is given. In a picture
    with color, halves go to even where no channel takes from another, weights are below 31 and offsets below 7000.
    """

    rows: tuple[float, ...]
    gray: tuple[float, float] | None = None


CurveName: TypeAlias = Literal["gamma", "posterize", "solarize", "solarize_add", "tone"]


class Curve(msgspec.Struct, frozen=True, tag="curve", tag_field="stage", omit_defaults=True):
    """Level → level in each channel by a named curve. Curves in a row round once; stepped ones take rounded levels.

    With a for ``amount`` and b for ``second``:

    - ``gamma``: 255·(v/255)^a;
    - ``posterize``: v with all but its a highest bits cleared; stepped;
    - ``solarize``: 255 − v where v ≥ a; stepped;
    - ``solarize_add``: v + b where v < a; stepped;
    - ``tone``: 255·B(v/255) with the cubic Bézier of heights 0, a, b, 1.
    """

    name: CurveName
    amount: float
    second: float = 0.0


class Contrast(msgspec.Struct, frozen=True, tag="contrast", tag_field="stage"):
    """Levels spread by ``factor`` about the mean luma of the source picture as it was decoded.

    The mean goes through all color stages of the plan that come before: through matrices without rounding or clipping,
    through curves as pixels do. It is rounded half up to 1/1024 of a level, ``factor`` to 1/1024.
    """

    factor: float
    about: Literal["mean"] = "mean"


ColorStage: TypeAlias = Matrix3x4 | Curve | Contrast


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
        mesh: bends the canvas after ``matrix``.
        after: the map of the bent canvas onto that of ``size_wh``.
        size_wh: of the new canvas.
        hidden_outside: a convex region; what lies outside it is gone, in pixels and labels.
        covered_xyxy: half-open boxes that are painted over; labels under them lose visibility.
    """

    matrix: Matrix | None = None
    size_wh: tuple[int, int] = (0, 0)
    hidden_outside: Region | None = None
    covered_xyxy: tuple[Box, ...] = ()
    mesh: Mesh | None = None
    after: Matrix = IDENTITY


UNCHANGED = CanvasChange()


# --- what a step says to a device ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instruction:
    """A point operation that runs behind the kernel before it, while the pixels are in registers (``points.cu``).

    Attributes:
        kind: ``matrix``: out = clip((Σ qᵢ·vᵢ + q₃ + 512) >> 10) with the 12 ``values``; ``table``: out = table[v],
            with one table for all channels or, where ``count`` is 3, one for each;
            ``noise``: ``values`` are scale and three numbers for each of ``count`` reads; the others paint ``fill``
            outside a box, outside a region of ``count`` sides, or inside ``count`` boxes.
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
        reads_bank: whether the kernel reads the noise bank.
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
    reads_bank: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the output."""
        return self.target_bytes or self.target_wh[0] * self.target_wh[1] * self.channels


# --- the step --------------------------------------------------------------------------------------------------------


class SourceTone(Protocol):
    """The colors of the decoded source on their way through the color stages of a plan."""

    def mean_luma(self) -> float:
        """Their mean luma as :class:`Contrast` rounds it."""
        ...

    def behind(self, stage: ColorStage) -> Self:
        """The same behind one more stage, which is a matrix or a curve."""
        ...


ToneT = TypeVar("ToneT", bound=SourceTone)


class SharedSource(Protocol):
    """The decoded source, from which all copies of a picture start."""

    def means(self, reduce: tuple[int, int]) -> Pixels:
        """Rounded means of its blocks of (kx, ky) pixels, made once."""
        ...


class Step(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower, kw_only=True):
    """Base of the step kinds. A subclass registers with :func:`register`; its ``tag`` is its name in the JSON of plans.

    All backends give the same bytes; the reference is within a level or two where the description leaves freedom.
    """

    on_host: ClassVar[bool] = False
    """Whether the CPU does the whole plan on every device."""
    since: ClassVar[int] = 1
    """The version of plans from which on there is such a step."""

    def fault(self, most_pixels: int) -> str | None:
        """Why the step of a record cannot be followed, in words; ``None`` if it can.

        Args:
            most_pixels: that a canvas may have; no number of a step needs to be larger.
        """
        return None

    def canvas_change(self) -> CanvasChange:
        """What the step does to labels."""
        return UNCHANGED

    def needs_tone(self) -> bool:
        """Whether only :meth:`aimed` makes of it what a backend, or the reference, can do."""
        return False

    def aimed(self, tone: ToneT) -> tuple[Self, ToneT]:
        """The step for one source, whose colors before the step ``tone`` has; and these colors behind it."""
        return self, tone

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


# --- the plan --------------------------------------------------------------------------------------------------------


class Drawn(msgspec.Struct, frozen=True):
    """One operation of the recipe that took part, by its path in the recipe, with the parameters it drew."""

    name: str
    parameters: dict[str, Any]


class Layer(msgspec.Struct, frozen=True):
    """Another picture of the source, by its key, and the steps that it goes through before the plan's own."""

    key: str
    steps: tuple[Step, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """The decisions for one (source, copy); with the source's bytes and labels enough to make the sample again.

    ``layers`` are the pictures that are put on that one. No operation draws any yet.
    """

    seed: int
    steps: tuple[Step, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    layers: tuple[Layer, ...] = ()

    @property
    def version(self) -> int:
        """The least version of the format that has what is in the plan."""
        return 2 if self.layers else max((step.since for step in self.steps), default=1)

    def steps_alone(self) -> tuple[Step, ...]:
        """The steps, for code that makes samples of one picture.

        Raises:
            ValueError: the plan has layers.
        """
        if self.layers:
            keys = ", ".join(one_line(layer.key, 80) for layer in self.layers[:3])
            raise ValueError(f"it has layers of other pictures ({keys}), which is not supported")
        return self.steps


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready values."""
    values: dict[str, Any] = msgspec.to_builtins(plan)
    layers = values.pop("layers")
    return {**values, "version": plan.version, **({"layers": layers} if layers else {})}


def from_json(value: Any) -> Plan:
    """The plan back from its JSON values.

    Raises:
        ValueError: if the values are not a plan of a known version.
    """
    version = value.get("version", 1) if isinstance(value, dict) else 1
    if version not in VERSIONS:
        raise ValueError(f"plan version {one_line(version, 80)}, expected {' or '.join(map(str, VERSIONS))}")
    try:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        layers = msgspec.convert(value.get("layers", []), list[dict[str, Any]])
        plan = msgspec.convert({**value, "steps": [], "layers": []}, Plan, strict=False)
        plan = msgspec.structs.replace(
            plan,
            steps=_steps_from_json(value.get("steps", [])),
            layers=tuple(
                Layer(msgspec.convert(row["key"], str), _steps_from_json(row.get("steps", []))) for row in layers
            ),
        )
    except KeyError as error:
        raise ValueError(f"not a plan: a layer lacks {error}") from error
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"not a plan: {error}") from error
    if plan.version > version:
        raise ValueError(f"not a plan: what is in it has version {plan.version}, it says {version}")
    return plan


def _steps_from_json(value: Any) -> tuple[Step, ...]:
    return tuple(map(step_from_json, msgspec.convert(value, list[Any])))
