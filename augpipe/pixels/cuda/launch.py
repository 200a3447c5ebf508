"""A batch of pictures of any sizes through their steps on an accelerator, with as few launches as possible.

A picture's steps become passes, each of which reads one picture and writes one. Point operations (color, noise,
painting over) are a program that runs behind the pass before them, while the pixels are in registers: a warp with all
its colors, bars and noise is one pass, a blur two, a JPEG round trip two, and a plan without a warp one copy with a
program.

Pictures on a device are interleaved red, green, blue (nvImageCodec's order) or gray, without gaps between rows. A
launch covers the i-th passes of all pictures that need the same kernel. All outputs share one block of memory, as do
all temporaries and all parameters. Where steps need the mean of their source, one launch more asks the device for the
sums of all such sources first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.color import MIDDLE, Sums, SumTone, aimed
from augpipe.core.errors import Reject
from augpipe.core.plan import ColorStage, Instruction, Pass, Step
from augpipe.pixels.backend import or_reject
from augpipe.pixels.cuda.device_api import Accelerator, DevicePicture, Stream
from augpipe.pixels.steps import noise
from augpipe.pixels.steps.color import Color

_ALIGNMENT = 256  # what cudaMalloc gives; words and doubles need less
_DESCRIPTOR = struct.Struct("<QQiiiiiiI4Bii72s")
_OPERATION = struct.Struct("<iiIi12i")
_INSTRUCTIONS = ("matrix", "table", "noise", "outside_box", "outside_region", "boxes")  # as enum Kind in points.cu
_TILE_WH, _THREADS_XY = (128, 8), (32, 8)  # a thread has four pixels
_READ_AT_ONCE = 3 * 128  # numbers of the noise bank from a thread's first to its last, at most
_MOST_SUM_BLOCKS = 16  # of the kernel in sums.cu, whose threads have a 32-bit sum a channel each


@dataclass(frozen=True)
class OutputJob:
    """One output: a decoded picture, which several jobs may share and none writes to, and its steps."""

    picture: DevicePicture
    steps: tuple[Step, ...]


_Chain: TypeAlias = tuple[DevicePicture, tuple[Pass, ...]]
"""A source and its passes."""


@dataclass
class _Launch:
    """One launch of a kernel: the passes that it covers, and their blocks together."""

    threads_xy: tuple[int, int]
    descriptors: list[bytes] = field(default_factory=list)
    blocks: int = 0


def run_batch(
    accelerator: Accelerator, jobs: Sequence[OutputJob], stream: Stream
) -> tuple[DevicePicture | Reject, ...]:
    """The outputs of ``jobs`` in order, once the kernels are launched; use them in ``stream`` or after it.

    A job that cannot be done is a reject, as on the CPU. The output of one without steps is its source.

    Raises:
        MemoryError: the device has no memory for the batch; nothing has run.
    """
    jobs = _aimed(accelerator, jobs, stream)
    lowerings = [or_reject("pixels", lowered, j.picture.size_wh, j.picture.channels, j.steps) for j in jobs]
    chains = [(j.picture, p) for j, p in zip(jobs, lowerings, strict=True) if not isinstance(p, Reject) and p]
    outputs = iter(_run(accelerator, chains, stream) if chains else ())
    return tuple(
        passes if isinstance(passes, Reject) else next(outputs) if passes else job.picture
        for job, passes in zip(jobs, lowerings, strict=True)
    )


def bytes_needed(size_wh: tuple[int, int], channels: int, steps: Sequence[Step]) -> int:
    """Device memory that a job takes besides its source: output, temporaries and parameters."""
    try:
        passes = lowered(size_wh, channels, aimed(steps, _AnyTone()))
    except Exception:  # run_batch makes a reject of it, which takes no memory
        return 0
    if not passes:
        return 0
    parameters = sum(len(p.table) + sum(_OPERATION.size + len(o.table) + 8 for o in p.program) + 256 for p in passes)
    return _aligned(passes[-1].nbytes) + sum(_slots(passes)) + _aligned(parameters)


def lowered(size_wh: tuple[int, int], channels: int, steps: Iterable[Step]) -> tuple[Pass, ...]:
    """The passes of a picture of ``size_wh`` with 1 or 3 channels; none where there is nothing to do.

    Raises:
        Reject: as the CPU backend does.
    """
    passes: list[Pass] = []
    for step in steps:
        for made in step.on_gpu(passes[-1].target_wh if passes else size_wh, channels):
            if isinstance(made, Pass):
                passes.append(made)
                continue
            if not passes:
                passes.append(Pass("copy", size_wh, size_wh, channels, head=struct.pack("<6i", 1, 0, 0, 0, 1, 0)))
            passes[-1].program.append(made)
    return tuple(passes)


class _AnyTone:
    """Stands in for a source of which only the size is known. Fulfils ``SourceTone``."""

    def behind(self, stage: ColorStage) -> _AnyTone:
        return self

    def mean_luma(self) -> float:
        return MIDDLE


def _aimed(accelerator: Accelerator, jobs: Sequence[OutputJob], stream: Stream) -> list[OutputJob]:
    """The jobs, with what their steps take from the sources filled in; waits for the sums of these.

    Raises:
        MemoryError: as :func:`run_batch`.
    """
    sources = {id(job.picture): job.picture for job in jobs if any(step.needs_tone() for step in job.steps)}
    own = dict(zip(sources, _sums(accelerator, [(picture, ()) for picture in sources.values()], stream), strict=True))

    def tone(picture: DevicePicture) -> SumTone:
        def sums_behind(stages: tuple[ColorStage, ...]) -> Sums:
            return own[id(picture)] if not stages else _sums(accelerator, [(picture, stages)], stream)[0]

        return SumTone(sums_behind)

    return [replace(job, steps=aimed(job.steps, tone(job.picture))) for job in jobs]


def _sums(
    accelerator: Accelerator, asked: Sequence[tuple[DevicePicture, tuple[ColorStage, ...]]], stream: Stream
) -> list[Sums]:
    """The sums of pictures behind color stages; waits for them."""
    chains: list[_Chain] = []
    for picture, stages in asked:
        behind = lowered(picture.size_wh, picture.channels, [Color(stages=stages)])
        chains.append((picture, (*behind, _adding(picture.size_wh, picture.channels))))
    if not chains:
        return []
    outputs = _run(accelerator, chains, stream)
    places = [
        (output.address - outputs[0].address, passes[-1]) for output, (_, passes) in zip(outputs, chains, strict=True)
    ]
    data = accelerator.download(outputs[0].address, places[-1][0] + places[-1][1].nbytes, stream)
    found: list[Sums] = []
    for place, adding in places:
        parts = data[place : place + adding.nbytes].view("<u4").reshape(-1, adding.channels)
        sums = tuple(int(v) for v in parts.sum(axis=0, dtype=np.uint64))
        found.append((sums, adding.source_wh[0] * adding.source_wh[1]))
    return found


def _adding(size_wh: tuple[int, int], channels: int) -> Pass:
    """The pass from a picture to the sums of each of its threads."""
    (across, down), blocks = _THREADS_XY, min(_MOST_SUM_BLOCKS, -(-size_wh[1] // 64))
    nbytes, head = 4 * channels * across * down * blocks, struct.pack("<i", down * blocks)
    return Pass("sums", size_wh, size_wh, channels, target_bytes=nbytes, head=head, grid=(blocks, _THREADS_XY))


def _grid(a_pass: Pass) -> tuple[int, tuple[int, int]]:
    """(blocks, threads of a block)."""
    (w, h), (tile_w, tile_h) = a_pass.target_wh, _TILE_WH
    return a_pass.grid or (-(-w // tile_w) * -(-h // tile_h), _THREADS_XY)


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


def _slots(passes: Sequence[Pass]) -> tuple[int, int]:
    """Bytes of the two temporaries that passes write in turn; the last one writes the output."""
    first, second = (max((p.nbytes for p in passes[i:-1:2]), default=0) for i in (0, 1))
    return _aligned(first), _aligned(second)


def _run(accelerator: Accelerator, chains: Sequence[_Chain], stream: Stream) -> list[DevicePicture]:
    outputs = accelerator.allocate(sum(_aligned(passes[-1].nbytes) for _, passes in chains), stream)
    temporaries = accelerator.allocate(max(1, sum(sum(_slots(passes)) for _, passes in chains)), stream)
    parameters = _Parameters()
    launches: dict[tuple[int, str], _Launch] = {}  # by place in the chain and kernel
    pictures = []
    output, temporary = outputs.address, temporaries.address
    for picture, passes in chains:
        first, second = _slots(passes)
        source, pitch = picture.address, picture.pitch
        for i, a_pass in enumerate(passes):
            target = output if i == len(passes) - 1 else temporary + (first if i % 2 else 0)
            blocks, threads_xy = _grid(a_pass)
            launch = launches.setdefault((i, a_pass.kernel), _Launch(threads_xy))
            launch.descriptors.append(parameters.descriptor(a_pass, (source, target), pitch, launch.blocks))
            launch.blocks += blocks
            source, pitch = target, a_pass.target_wh[0] * a_pass.channels
        end = passes[-1]
        pictures.append(DevicePicture(output, end.target_wh, end.channels, pitch, outputs))
        output, temporary = output + _aligned(end.nbytes), temporary + first + second

    in_order = sorted(launches.items(), key=lambda item: item[0][0])
    places = [parameters.put(b"".join(launch.descriptors)) for _, launch in in_order]
    memory = accelerator.upload(np.frombuffer(parameters.data, np.uint8), stream)
    bank = np.uint64(accelerator.resident("noise", _bank, stream) if parameters.noisy else 0)
    for ((_, kernel), launch), place in zip(in_order, places, strict=True):
        count = np.int32(len(launch.descriptors))
        arguments = (np.uint64(memory.address + place), count, np.uint64(memory.address), bank)
        accelerator.launch(kernel, launch.blocks, launch.threads_xy, arguments, stream)
    return pictures


def _bank() -> NDArray[np.int16]:
    """The noise bank followed by its beginning, so that no thread has to wrap."""
    return noise.rolled_bank()[: noise.LENGTH + _READ_AT_ONCE]


class _Parameters:
    """All that the kernels of a batch read besides pixels, in one array of bytes; a place is an offset in it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.noisy = False

    def put(self, data: bytes) -> int:
        """The place of some bytes, aligned for doubles."""
        self.data.extend(bytes(-len(self.data) % 8))
        place = len(self.data)
        self.data.extend(data)
        return place

    def descriptor(self, a_pass: Pass, source_target: tuple[int, int], pitch: int, tile: int) -> bytes:
        """The 128 bytes of struct Pass; its program and table are put among the parameters."""
        self.noisy |= a_pass.reads_bank
        program = self.put(b"".join([self._operation(o) for o in a_pass.program])) if a_pass.program else 0
        head = struct.pack("<i", self.put(a_pass.table)) + a_pass.head if a_pass.table else a_pass.head
        return _DESCRIPTOR.pack(
            *source_target,
            *a_pass.source_wh,
            *a_pass.target_wh,
            pitch,
            tile,
            _packed(a_pass.fill),
            *(a_pass.channels, a_pass.border, a_pass.projective, 0),
            program,
            len(a_pass.program),
            head,
        )

    def _operation(self, o: Instruction) -> bytes:
        self.noisy |= o.kind == "noise"
        place = self.put(o.table) if o.table else 0
        kind, fill = _INSTRUCTIONS.index(o.kind), _packed(o.fill)
        return _OPERATION.pack(kind, o.count, fill, place, *o.values, *(0,) * (12 - len(o.values)))


def _packed(levels: tuple[int, ...]) -> int:
    """As the kernels unpack a fill: the first channel lowest."""
    return int.from_bytes(bytes(levels), "little")
