"""The GPU backend: batches of pictures through decoder, kernels and encoder, which work at the same time.

Each of the three has a thread and a stream of its own; an event lets a stream wait for the one before it, so nothing
waits on the host but for the bytes at the end. A few batches are under way at a time. A batch is capped by the bytes
that it takes on the device, whatever sizes its pictures have, and by the number of outputs.

Where memory runs out all the same (other programs use the device too), the batch is done again in halves, and an
output that is too much alone is moved by the CPU, which gives the same pixels; ``Rendered.fallback`` tells of it.
Anything else that goes wrong leaves a device in no state to go on with: a :class:`~augpipe.core.errors.DeviceError`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias, TypeVar

from augpipe.core.errors import DeviceError, Reject, one_line
from augpipe.core.machine import cores
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered, or_reject
from augpipe.pixels.codec.image import is_gray
from augpipe.pixels.cpu import CpuBackend, apply
from augpipe.pixels.cuda.batch_codec import BatchCodec, DeviceFirst, HostCodec, downloaded, uploaded
from augpipe.pixels.cuda.device_api import Accelerator, DevicePicture, Event
from augpipe.pixels.cuda.launch import OutputJob, bytes_needed, run_batch
from augpipe.pixels.scaled_decode import part_of, scale_denominator_of

SLOTS = 3
"""Batches that are under way at a time: one for each stage."""

MOST_OUTPUTS = 256
"""Of a batch: enough that what a batch costs does not show, few enough that a task is many of them."""

_MOST_BYTES = 1 << 30

Output: TypeAlias = "tuple[bytes | Reject, str]"
"""A file or why there is none, and what of it was not done on the device."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Piece:
    """A source picture with some of its outputs; ``ends`` says whether these are the last ones."""

    job: PictureJob
    ends: bool


_Batch: TypeAlias = Sequence[_Piece]


@dataclass(frozen=True)
class _Decoded:
    """Source pictures, there at ``event``."""

    pictures: list[DevicePicture | Reject]
    event: Event


@dataclass(frozen=True)
class _Moved:
    """Outputs, there at ``event``, and the sources, which must stay until then."""

    outputs: list[DevicePicture | Reject]
    event: Event
    sources: _Decoded


class GpuBackend:
    """Fulfils :class:`augpipe.pixels.backend.Backend` on an accelerator.

    Args:
        accelerator: the device; this object alone uses it in this process.
        codec: reads and writes files.
        options: what every backend needs to know.
        budget: bytes that all batches under way may take together.
    """

    def __init__(self, accelerator: Accelerator, codec: BatchCodec, options: BackendOptions, budget: int) -> None:
        self._accelerator, self._codec, self._options = accelerator, codec, options
        self._most_bytes = min(_MOST_BYTES, max(1, budget // SLOTS))
        self._by_cpu = CpuBackend(options)
        self._decoding, self._moving, self._encoding = (
            ThreadPoolExecutor(1, f"augpipe-{stage}") for stage in ("decode", "pixels", "encode")
        )
        self._streams = tuple(accelerator.stream() for _ in range(3))

    def render(self, jobs: Iterable[PictureJob]) -> Iterator[Rendered]:
        """Results in the order of the jobs.

        Raises:
            DeviceError: the device failed.
        """
        under_way: deque[tuple[_Batch, Future[list[Output] | None]]] = deque()
        pictures: list[Output] = []
        try:
            for batch in _cut(_pieces(jobs, self._codec.shrinks), self._most_bytes):
                under_way.append((batch, self._begun(batch)))
                if len(under_way) == SLOTS:
                    yield from self._finished(under_way, pictures)
            while under_way:
                yield from self._finished(under_way, pictures)
        finally:
            for _, future in under_way:
                future.cancel()
            wait([future for _, future in under_way])

    def _finished(
        self, under_way: deque[tuple[_Batch, Future[list[Output] | None]]], pictures: list[Output]
    ) -> Iterator[Rendered]:
        """The results that the oldest batch completes; ``pictures`` are those of a job that is not complete."""
        batch, future = under_way.popleft()
        outputs = future.result()
        if outputs is None:
            outputs = self._in_halves(batch)
        place = 0
        for piece in batch:
            end = place + len(piece.job.steps)
            pictures += outputs[place:end]
            place = end
            if piece.ends:
                fallback = next((told for _, told in pictures if told), "")
                yield Rendered(tuple(picture for picture, _ in pictures), fallback)
                pictures.clear()

    # --- the three stages ---

    def _begun(self, batch: _Batch) -> Future[list[Output] | None]:
        decoded = self._decoding.submit(self._guarded, self._decode, batch)
        moved = self._moving.submit(self._guarded, self._move, batch, decoded)
        return self._encoding.submit(self._guarded, self._encode, moved)

    def _guarded(self, stage: Callable[..., T], *arguments: object) -> T | None:
        """A stage's result; ``None`` where memory ran out, then or in the stage before.

        That is not handed on as an exception: its traceback would hold on to the memory of the stage that failed. The
        faults of a picture are results, so what is raised all the same is the device's.
        """
        try:
            self._accelerator.bind()
            before = [a.result() if isinstance(a, Future) else a for a in arguments]
            return None if any(b is None for b in before) else stage(*before)
        except MemoryError:
            return None
        except DeviceError:
            raise
        except Exception as error:
            raise DeviceError(
                f"{self._accelerator.name}: {type(error).__name__}: {one_line(error)}; finished shards are kept"
            ) from error

    def _decode(self, batch: _Batch) -> _Decoded:
        stream = self._streams[0]
        return _Decoded(self._codec.decode([piece.job for piece in batch], stream), stream.record())

    def _move(self, batch: _Batch, decoded: _Decoded) -> _Moved:
        stream = self._streams[1]
        stream.wait(decoded.event)
        works: list[OutputJob] = []
        lost: list[Reject | None] = []
        for piece, picture in zip(batch, decoded.pictures, strict=True):
            for steps in piece.job.steps:
                if isinstance(picture, Reject):
                    lost.append(picture)
                else:
                    lost.append(None)
                    works.append(OutputJob(picture, steps))
        made = iter(run_batch(self._accelerator, works, stream))
        return _Moved([reject or next(made) for reject in lost], stream.record(), decoded)

    def _encode(self, moved: _Moved) -> list[Output]:
        stream = self._streams[2]
        stream.wait(moved.event)
        pictures = [output for output in moved.outputs if not isinstance(output, Reject)]
        files = iter(self._codec.encode(pictures, stream))
        outputs = [(output if isinstance(output, Reject) else next(files), "") for output in moved.outputs]
        stream.synchronize()  # nobody reads the pictures any more when they go
        return outputs

    # --- without enough memory ---

    def _in_halves(self, batch: _Batch) -> list[Output]:
        """The outputs of a batch for which there was no memory, by smaller ones, while no other is under way."""
        for stage in (self._decoding, self._moving, self._encoding):
            # By each of them: then it is done with what is under way, and has let go of its last task, to which a
            # thread holds on for a moment longer than the result takes.
            stage.submit(self._guarded, self._accelerator.trim).result()
        halves = _halves(batch)
        if halves is None:
            return [self._without_kernels(batch[0].job)]
        outputs: list[Output] = []
        for half in halves:
            done = self._begun(half).result()
            outputs += self._in_halves(half) if done is None else done
        return outputs

    def _without_kernels(self, job: PictureJob) -> Output:
        """The one output of a job by the CPU's pixels: the same, as long as the same codec reads and writes it."""
        if isinstance(self._codec, HostCodec):
            (rendered,) = self._by_cpu.render([job])
            return rendered.pictures[0], "pixels"
        done = self._encoding.submit(self._guarded, self._moved_by_cpu, job).result()
        if done is None:  # another codec would write other bytes, and what is free now must not decide them
            message = "not enough memory on the device, even for the codec alone"
            return Reject("pixels", "memory", message, transient=True), ""
        return done, "pixels"

    def _moved_by_cpu(self, job: PictureJob) -> bytes | Reject:
        stream = self._streams[2]
        (source,) = self._codec.decode([job], stream)
        if isinstance(source, Reject):
            return source
        pixels = downloaded(self._accelerator, source, stream)
        del source
        moved = or_reject("pixels", apply, pixels, job.steps[0])
        if isinstance(moved, Reject):
            return moved
        picture = uploaded(self._accelerator, moved, stream)
        (data,) = self._codec.encode([picture], stream)
        stream.synchronize()
        return data

    def close(self) -> None:
        """End its threads. It must not be used any more."""
        for stage in (self._decoding, self._moving, self._encoding):
            stage.shutdown()


def _pieces(jobs: Iterable[PictureJob], shrinks: bool) -> Iterator[_Piece]:
    """Whole jobs; if the codec shrinks pictures, neighbouring outputs that start from one size."""
    for job in jobs:
        divisors = [scale_denominator_of(job.header, steps) if shrinks else 1 for steps in job.steps]
        first = 0
        for divisor, run in groupby(divisors):
            end = first + len(list(run))
            yield _Piece(part_of(job, divisor, range(first, end)), ends=end == len(divisors))
            first = end


def _cut(pieces: Iterable[_Piece], most_bytes: int) -> Iterator[_Batch]:
    """Batches of up to so many bytes on the device; one that a single output exceeds is by itself.

    The outputs of a piece may be spread over several, for each of which it is decoded.
    """
    batch: list[_Piece] = []
    held = count = 0
    for piece in pieces:
        job = piece.job
        width, height = (-(-side // job.scale_denominator) for side in job.header.upright_wh)
        channels = 1 if is_gray(job.header) else 3
        source = width * height * channels
        first = 0
        for i, steps in enumerate(job.steps):
            needed = bytes_needed((width, height), channels, steps)
            if count and (held + needed + (source if i == first else 0) > most_bytes or count == MOST_OUTPUTS):
                if i > first:
                    batch.append(_Piece(replace(job, steps=job.steps[first:i]), ends=False))
                yield batch
                batch, held, count, first = [], 0, 0, i
            held += needed + (source if i == first else 0)
            count += 1
        batch.append(_Piece(replace(job, steps=job.steps[first:]), ends=piece.ends))
    if batch:
        yield batch


def _halves(batch: _Batch) -> tuple[_Batch, _Batch] | None:
    """Two smaller batches with the same outputs in the same order; ``None`` for a single output."""
    if len(batch) > 1:
        return batch[: len(batch) // 2], batch[len(batch) // 2 :]
    (piece,) = batch
    steps = piece.job.steps
    if len(steps) <= 1:
        return None
    middle = len(steps) // 2
    first, second = replace(piece.job, steps=steps[:middle]), replace(piece.job, steps=steps[middle:])
    return [_Piece(first, ends=False)], [_Piece(second, ends=piece.ends)]


# --- The GPU backend on a CUDA device: CuPy for memory and kernels, nvImageCodec or the CPU for files -----------------


_THREADS = 4
"""Of nvImageCodec, which prepares files for the device; not measured on a device yet."""


def on_cuda(index: int, codec: str, options: BackendOptions, sharing: int = 1) -> GpuBackend:
    """The backend.

    Args:
        index: of the CUDA device.
        codec: ``cpu`` or ``nvimgcodec``.
        options: what every backend needs to know.
        sharing: processes that work on this device.

    Raises:
        DeviceError: the device does not work.
    """
    try:
        from augpipe.pixels.cuda.cupy_device import CudaAccelerator

        accelerator = CudaAccelerator(index, sharing)
        files: BatchCodec = HostCodec(accelerator, options)
        if codec == "nvimgcodec":
            from augpipe.pixels.cuda.nvimgcodec import DeviceCodec

            own = DeviceCodec(index, options.picture, min(_THREADS, cores()))
            files = DeviceFirst(own, HostCodec(accelerator, options))
        return GpuBackend(accelerator, files, options, accelerator.memory().limit)
    except Exception as error:  # of CuPy, the driver, the compiler of kernels or the codec; no memory, too
        message = f"cuda:{index} does not work: {type(error).__name__}: {one_line(error)}"
        raise DeviceError(f"{message}; augpipe doctor says what there is, --device cpu needs none") from error
