"""The GPU backend: batches of pictures through decoder, kernels and encoder, which work at the same time.

Each stage has a thread and a stream; an event lets a stream wait for the one before it, so the host waits only for the
encoded bytes. A batch is limited by its bytes on the device and by its number of outputs.

If memory runs out all the same, because other programs use the device, the batch is done again in halves. An output
that does not fit alone is made by the CPU, with the same pixels, and reported in ``Rendered.fallback``. Any other
failure leaves the device unusable: :class:`~augpipe.core.errors.DeviceError`.
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
from augpipe.core.plan import Pixels, Step
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered, or_reject
from augpipe.pixels.codec.image import PictureFormat, is_gray
from augpipe.pixels.cpu import CpuBackend, apply
from augpipe.pixels.cuda.batch_codec import BatchCodec, DeviceFirst, HostCodec, downloaded, uploaded
from augpipe.pixels.cuda.device_api import Accelerator, DevicePicture, Event, Stream
from augpipe.pixels.cuda.launch import OutputJob, bytes_needed, run_batch
from augpipe.pixels.scaled_decode import part_of, scale_denominator_of

SLOTS = 3
"""Batches in progress at a time, one a stage."""

MOST_OUTPUTS = 256
"""Of a batch: enough to make its fixed cost small, few enough that a task has many batches."""

_MOST_BYTES = 1 << 30

Output: TypeAlias = "tuple[bytes | Reject, str]"
"""A file or its reject, and what of it the CPU did (see ``Rendered.fallback``)."""

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
    """Outputs, the form of each and what of it the CPU did, there at ``event``, and the sources, which must stay until
    then."""

    outputs: list[DevicePicture | Reject]
    forms: list[PictureFormat]
    by_cpu: list[str]
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
        pending: deque[tuple[_Batch, Future[list[Output] | None]]] = deque()
        pictures: list[Output] = []
        try:
            for batch in _cut(_pieces(jobs, self._codec.shrinks), self._most_bytes):
                pending.append((batch, self._begun(batch)))
                if len(pending) == SLOTS:
                    yield from self._finished(pending, pictures)
            while pending:
                yield from self._finished(pending, pictures)
        finally:
            for _, future in pending:
                future.cancel()
            wait([future for _, future in pending])

    def _finished(
        self, pending: deque[tuple[_Batch, Future[list[Output] | None]]], pictures: list[Output]
    ) -> Iterator[Rendered]:
        """The results that the oldest batch completes; ``pictures`` has the outputs of a job that is not complete."""
        batch, future = pending.popleft()
        outputs = future.result()
        if outputs is None:
            outputs = self._in_halves(batch)
        place = 0
        for piece in batch:
            end = place + len(piece.job.steps)
            pictures += outputs[place:end]
            place = end
            if piece.ends:
                fallback = next((by_cpu for _, by_cpu in pictures if by_cpu), "")
                yield Rendered(tuple(picture for picture, _ in pictures), fallback)
                pictures.clear()

    # --- the three stages ---

    def _begun(self, batch: _Batch) -> Future[list[Output] | None]:
        decoded = self._decoding.submit(self._guarded, self._decode, batch)
        moved = self._moving.submit(self._guarded, self._move, batch, decoded)
        return self._encoding.submit(self._guarded, self._encode, moved)

    def _guarded(self, stage: Callable[..., T], *arguments: object) -> T | None:
        """A stage's result; ``None`` if memory ran out in it or in the stage before.

        ``None``, because the traceback of an exception would keep the memory of the stage that failed. Faults of a
        picture are results, so any other exception is the device's.
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
        wanted = [
            picture if isinstance(picture, Reject) else OutputJob(picture, steps)
            for piece, picture in zip(batch, decoded.pictures, strict=True)
            for steps in piece.job.steps
        ]
        jobs = [job for job in wanted if isinstance(job, OutputJob) and not _on_host(job.steps)]
        made = iter(run_batch(self._accelerator, jobs, stream))
        outputs = [
            job
            if isinstance(job, Reject)
            else self._by_host(downloaded(self._accelerator, job.picture, stream), job.steps, stream)
            if _on_host(job.steps)
            else next(made)
            for job in wanted
        ]
        forms = [self._options.picture.of(piece.job.header) for piece in batch for _ in piece.job.steps]
        by_cpu = ["pixels" if isinstance(job, OutputJob) and _on_host(job.steps) else "" for job in wanted]
        return _Moved(outputs, forms, by_cpu, stream.record(), decoded)

    def _by_host(self, pixels: Pixels, steps: Sequence[Step], stream: Stream) -> DevicePicture | Reject:
        """A picture that was downloaded through its steps on the host, and up again."""
        moved = or_reject("pixels", apply, pixels, steps)
        return moved if isinstance(moved, Reject) else uploaded(self._accelerator, moved, stream)

    def _encode(self, moved: _Moved) -> list[Output]:
        stream = self._streams[2]
        stream.wait(moved.event)
        made = [(o, form) for o, form in zip(moved.outputs, moved.forms, strict=True) if not isinstance(o, Reject)]
        files = iter(self._codec.encode([picture for picture, _ in made], [form for _, form in made], stream))
        outputs = [
            (output if isinstance(output, Reject) else next(files), by_cpu)
            for output, by_cpu in zip(moved.outputs, moved.by_cpu, strict=True)
        ]
        stream.synchronize()  # before the pictures' memory is given back
        return outputs

    # --- without enough memory ---

    def _in_halves(self, batch: _Batch) -> list[Output]:
        """The outputs of a batch that did not fit, by smaller batches, while no other is in progress."""
        for stage in (self._decoding, self._moving, self._encoding):
            # By each thread, which has then finished its tasks and let go of the last one's memory.
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
        """The one output of a job by the CPU's steps, read and written by the same codec as ever."""
        if isinstance(self._codec, HostCodec):
            (rendered,) = self._by_cpu.render([job])
            return rendered.pictures[0], "pixels"
        done = self._encoding.submit(self._guarded, self._moved_by_cpu, job).result()
        if done is None:  # another codec would write other bytes, which must not depend on free memory
            message = "not enough memory on the device, even for the codec alone"
            return Reject("pixels", "memory", message, transient=True), ""
        return done, "pixels"

    def _moved_by_cpu(self, job: PictureJob) -> bytes | Reject:
        stream = self._streams[2]
        (source,) = self._codec.decode([job], stream)
        if isinstance(source, Reject):
            return source
        pixels = downloaded(self._accelerator, source, stream)
        del source  # there may be no room for both
        picture = self._by_host(pixels, job.steps[0], stream)
        if isinstance(picture, Reject):
            return picture
        (data,) = self._codec.encode([picture], [self._options.picture.of(job.header)], stream)
        stream.synchronize()
        return data

    def close(self) -> None:
        """End its threads; it cannot be used afterwards."""
        for stage in (self._decoding, self._moving, self._encoding):
            stage.shutdown()


def _on_host(steps: Sequence[Step]) -> bool:
    """Whether the CPU has to do the steps, as a function of the user's is among them."""
    return any(step.on_host for step in steps)


def _pieces(jobs: Iterable[PictureJob], shrinks: bool) -> Iterator[_Piece]:
    """Whole jobs; if the codec decodes at a scale, neighbouring outputs that start from the same one."""
    for job in jobs:
        divisors = [scale_denominator_of(job.header, steps) if shrinks else 1 for steps in job.steps]
        first = 0
        for divisor, run in groupby(divisors):
            end = first + len(list(run))
            yield _Piece(part_of(job, divisor, range(first, end)), ends=end == len(divisors))
            first = end


def _cut(pieces: Iterable[_Piece], most_bytes: int) -> Iterator[_Batch]:
    """Batches of up to ``most_bytes`` on the device; a larger output is a batch by itself.

    The outputs of a piece may be in several batches, for each of which it is decoded.
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


# --- on a CUDA device: CuPy for memory and kernels, nvImageCodec or the CPU for files --------------------------------

_THREADS = 4  # of nvImageCodec, which prepares files for the device; not measured on a device yet


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
        return GpuBackend(accelerator, files, options, accelerator.memory_limit())
    except Exception as error:  # of CuPy, the driver, the compiler of kernels or the codec; no memory, too
        message = f"cuda:{index} does not work: {type(error).__name__}: {one_line(error)}"
        raise DeviceError(f"{message}; augpipe doctor says what there is, --device cpu needs none") from error
