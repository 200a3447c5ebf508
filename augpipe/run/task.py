"""One shard task, a pure function of a Job and a Task: read, draw, label, render, write, commit.

A picture is read and decoded once for all its copies. A picture that fails becomes a row of rejects and leaves no gap.
The tar is put together at the end in its seeded order, so it does not depend on the order of events.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any, TypeAlias

import msgspec

from augpipe.core.annotations import Annotations, Category, Frame, Header, Raster, class_names
from augpipe.core.errors import MissingLibrary, Reject, RunError, fault, refused
from augpipe.core.plan import Pixels, Plan, Step
from augpipe.core.rng import rank
from augpipe.formats.base import Entry, fingerprint_of, read_picture
from augpipe.formats.look import upright_labels
from augpipe.formats.webdataset.record import SourceFacts, record_of
from augpipe.formats.webdataset.schema import SHARD_SCHEMA
from augpipe.labels.transform import Labelled
from augpipe.pixels.backend import Backend, Rendered, or_reject
from augpipe.pixels.backend import PictureJob as PixelJob
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode
from augpipe.pixels.codec.label_png import encode_raster, narrowed
from augpipe.pixels.codec.original import ending_of_original
from augpipe.recipe.planner import ORIGINAL
from augpipe.run.folder.inventory import fault_of_tar, read_record
from augpipe.run.folder.run_folder import put_json, sha256_of
from augpipe.run.folder.samples import END, sample_key, tar_member
from augpipe.run.job import Attempt, Job, Task
from augpipe.run.outputs import Windowed
from augpipe.run.prefetch import reading_ahead
from augpipe.run.source_guard import require_sound, require_there
from augpipe.run.source_state import NOT_READ, Stamp, mtime_of, require_as_indexed, seen_json
from augpipe.run.tally import Tally, WindowTally
from augpipe.storage.patience import waited
from augpipe.windows.samples import PlannedSample, PlannedSamples

HELD_BYTES = 256 * 1024 * 1024
"""Encoded bytes of a shard that are kept in memory; more are spilled to disk."""

ReportProgress: TypeAlias = Callable[[int, int], None]
"""Called with (pictures done, samples rejected) since the last call."""


@dataclass(frozen=True)
class Loaded:
    """A source that was read: its bytes, header and labels, or why not; a RunError ends the whole run."""

    entry: Entry
    data: bytes = b""
    header: Header | None = None
    annotations: Annotations | None = None
    error: Reject | RunError | None = None
    stamp: Stamp = NOT_READ


@dataclass(frozen=True)
class Prepared:
    """A source with the plan and labels of each copy; only the pixels are missing.

    ``original`` is the ending of the original if that is the source's file as it is, and needs no pixels.
    """

    loaded: Loaded
    plans: tuple[tuple[int, Plan, Labelled], ...]
    planned: PlannedSamples
    original: str | None = None

    @property
    def steps(self) -> tuple[tuple[Step, ...], ...]:
        """The steps of each output that is to be made of pixels."""
        return tuple(plan.steps for copy, plan, _ in self.plans if copy != ORIGINAL or self.original is None)


def _ignored(pictures: int, rejected: int) -> None:
    pass


def run_task(
    job: Job, task: Task, backend: Backend, attempt: Attempt | None = None, progress: ReportProgress = _ignored
) -> None:
    """Make one shard: its tar, and the commit record that makes it exist.

    Raises:
        RunError: the shard cannot be written, the source is gone, a library is missing, or the device failed.
    """
    try:
        _ShardTask(job, task, backend, attempt or Attempt(), progress).run()
    except MissingLibrary as error:  # what was made before is kept
        raise RunError(str(error)) from error


def probe_picture(job: Job, task: Task, backend: Backend, index: int, progress: ReportProgress = _ignored) -> None:
    """Do with one picture of a task all that the task does, but write nothing, to see whether the process survives."""
    alone = replace(task, entries=task.entries[index : index + 1])
    _ShardTask(job, alone, backend, Attempt(), progress).probe()


def made_by(job: Job, task: Task, backend: Backend) -> tuple[bytes, list[dict[str, Any]]]:
    """The tar that a task would write, and its rejects; nothing is committed."""
    return _ShardTask(job, task, backend, Attempt(), _ignored).contents()


class _ShardTask:
    def __init__(self, job: Job, task: Task, backend: Backend, attempt: Attempt, progress: ReportProgress) -> None:
        self._job, self._task, self._backend, self._attempt, self._progress = job, task, backend, attempt, progress
        self._scratch = job.store.scratch()
        self._categories: dict[int, Category] = {c.id: c for c in job.categories}
        self._class_names = class_names(job.categories)
        self._tally = Tally(f"{task.name}.tar", job.roots, job.recipe.rules.below == "ignore")
        self._windows = WindowTally() if isinstance(job.outputs, Windowed) else None
        self._fallbacks: list[dict[str, str]] = []
        self._members: list[tuple[bytes, int, int]] = []
        self._waited = waited()
        self._stamps: dict[str, Stamp] = {}

    def run(self) -> None:
        started = time.monotonic()
        with self._filled() as spool:
            self._commit(spool, time.monotonic() - started)

    def probe(self) -> None:
        with self._filled():
            pass

    def contents(self) -> tuple[bytes, list[dict[str, Any]]]:
        with self._filled() as spool:
            return b"".join(self._content(spool)), self._tally.rejects

    @contextmanager
    def _filled(self) -> Iterator[IO[bytes]]:
        """A file with the members of the tar in the order of making.

        Raises:
            RunError: it was spilled to disk and cannot be written.
        """
        with tempfile.SpooledTemporaryFile(HELD_BYTES, dir=self._scratch) as spool:
            for prepared, rendered in self._rendered(spool):
                self._store(prepared, rendered, spool)
            yield spool

    def _store(self, prepared: Prepared, rendered: Rendered, spool: IO[bytes]) -> None:
        rejects = self._tally.rejected
        try:
            self._store_samples(prepared, rendered, spool)
        except OSError as error:
            raise refused(self._scratch, error, "cannot be written: ") from error
        self._progress(1, self._tally.rejected - rejects)

    # --- reading, drawing, labels ---

    def _rendered(self, spool: IO[bytes]) -> Iterator[tuple[Prepared, Rendered]]:
        """Sources with their outputs; one of which no output has to be made goes into ``spool`` at once."""
        waiting: deque[Prepared] = deque()
        largest = max(entry.size for entry in self._task.entries)

        def jobs() -> Iterator[PixelJob]:
            for loaded in reading_ahead(self._task.entries, self._load, largest):
                prepared = self._prepare(loaded)
                if prepared is None or loaded.header is None:
                    continue
                if prepared.steps:
                    waiting.append(prepared)
                    yield PixelJob(loaded.data, loaded.header, prepared.steps)
                else:
                    self._store(prepared, Rendered(()), spool)

        for rendered in self._backend.render(jobs()):
            yield waiting.popleft(), rendered

    def _load(self, entry: Entry) -> Loaded:
        """Read a source, without decoding its pixels. Runs ahead in a thread."""
        data, stamp = b"", NOT_READ
        if entry.key in self._attempt.lost:
            return Loaded(entry, error=self._attempt.lost[entry.key])
        try:
            mtime_ns = mtime_of(entry)  # before it is read, so that what is written meanwhile is seen later
            data = read_picture(entry)
            stamp = Stamp(mtime_ns, hashlib.sha256(data).hexdigest())
            require_as_indexed(entry, data)
            header = read_header(data, self._job.max_pixels, self._job.reading)
            annotations = upright_labels(self._job.reader, entry, header, self._job.exif)
            if self._job.strict:
                require_sound(annotations)
        except Reject as reject:
            try:
                require_there(self._job.roots, reject)
            except RunError as error:
                return Loaded(entry, error=error)
            return Loaded(entry, data, error=reject, stamp=stamp)
        except Exception as error:  # one picture of a hundred thousand must not end the run
            return Loaded(entry, data, error=fault("read", error), stamp=stamp)
        return Loaded(entry, data, header, annotations, stamp=stamp)

    def _prepare(self, loaded: Loaded) -> Prepared | None:
        """Plans and labels of every copy; ``None`` if no copy can be made."""
        if isinstance(loaded.error, RunError):
            raise loaded.error
        self._stamps[loaded.entry.key] = loaded.stamp
        if loaded.annotations is None or loaded.header is None:
            reject = loaded.error or Reject("read", "unreadable", "nothing was read")
            self._tally.planned += len(self._task.copies)
            self._reject(loaded, self._task.copies, reject)
            self._progress(1, len(self._task.copies))
            return None
        self._tally.notes.update(loaded.annotations.notes)
        frame = Frame(
            loaded.entry.key, loaded.header.upright_wh, loaded.annotations, self._class_names, loaded.entry.split
        )
        planned, plans, rejects = self._planned(loaded, frame), list[tuple[int, Plan, Labelled]](), self._tally.rejected
        for sample in planned.samples:
            if isinstance(sample.labels, Reject):
                self._reject(loaded, (sample.number,), sample.labels)
            else:
                plans.append((sample.number, sample.plan, sample.labels))
        if not plans:
            self._count_windows(loaded, planned, ())
            self._progress(1, self._tally.rejected - rejects)
            return None
        return Prepared(loaded, tuple(plans), planned, self._ending_of_original(loaded.data, loaded.header))

    def _planned(self, loaded: Loaded, frame: Frame) -> PlannedSamples:
        """The samples that a picture is to give; none if that cannot be told, which loses all copies of the task."""
        try:
            planned = self._job.outputs.samples(frame, self._task.copies)
        except Exception as error:  # as in _load
            reject = error if isinstance(error, Reject) else fault("plan", error)
            planned = PlannedSamples(tuple(PlannedSample(n, Plan(0), reject) for n in self._task.copies))
        self._tally.planned += len(planned.samples)
        return planned

    def _count_windows(self, loaded: Loaded, planned: PlannedSamples, written: Collection[int]) -> None:
        if self._windows is not None and loaded.annotations is not None:
            self._windows.count(loaded.entry.key, loaded.annotations, planned, written, self._categories)

    def _ending_of_original(self, data: bytes, header: Header) -> str | None:
        """The ending of the original if the file can be written as it is; damage that is kept is written anew."""
        if ORIGINAL not in self._task.copies or (ending := ending_of_original(data, header)) is None:
            return None
        keeps = self._job.keep_truncated and isinstance(or_reject("decode", _decoded, data, header), Reject)
        return None if keeps else ending

    # --- results ---

    def _store_samples(self, prepared: Prepared, rendered: Rendered, spool: IO[bytes]) -> None:
        loaded = prepared.loaded
        if loaded.header is None or loaded.stamp.sha256 is None:
            return
        source = SourceFacts(
            loaded.entry.key,
            loaded.stamp.sha256,
            loaded.header.upright_wh,
            loaded.header.orientation,
            self._task.split or None,
        )
        if rendered.fallback:
            self._fallbacks.append({"source": source.key, "stages": rendered.fallback})
        made, written = iter(rendered.pictures), set[int]()
        form = self._job.picture.of(loaded.header).format
        for copy, plan, labelled in prepared.plans:
            as_it_is = prepared.original if copy == ORIGINAL else None
            picture = next(made) if as_it_is is None else _file_of(loaded.data, loaded.header, rendered)
            if isinstance(picture, Reject):
                self._reject(loaded, (copy,), picture)
                continue
            key = sample_key(source.key, copy)
            record = record_of(key, copy, labelled, source, plan, self._categories)
            self._tally.count(labelled)
            offset = spool.tell()
            self._tally.notes["original-decoded"] += copy == ORIGINAL and as_it_is is None
            for ending, data in self._files(as_it_is or form, picture, record, labelled):
                spool.write(tar_member(f"{key}.{ending}", data))
            self._members.append((rank(self._job.seed, key), offset, spool.tell() - offset))
            written.add(copy)
        self._count_windows(loaded, prepared.planned, written)

    def _files(
        self, ending: str, picture: bytes, record: dict[str, Any], labelled: Labelled
    ) -> Iterator[tuple[str, bytes]]:
        """(ending, content) of the members of a sample; ``ending`` is that of the picture."""
        yield ending, picture
        yield "json", msgspec.json.encode(record, order="sorted")
        if self._job.outputs.are_classes:
            own = next(row for row in record["objects"] if row["index"] == record["copy"])
            yield "cls", b"%d" % (own["label"] - 1)
        for name in ("semantic", "instance", "panoptic"):
            raster: Raster | None = getattr(labelled.annotations, name)
            if raster is not None:
                yield f"{name}.png", encode_raster(narrowed(raster) if name == "semantic" else raster)

    def _reject(self, loaded: Loaded, copies: tuple[int, ...], reject: Reject) -> None:
        self._tally.reject(loaded.entry, loaded.data, copies, reject)

    # --- the shard ---

    def _commit(self, spool: IO[bytes], seconds: float) -> None:
        size, digest = 0, hashlib.sha256()

        def fill(file: IO[bytes]) -> None:
            nonlocal size
            for chunk in self._content(spool):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                self._progress(0, 0)  # a large shard on a slow disk is not a worker that hangs

        name, tally, store = self._task.name, self._tally, self._job.store
        if self._is_committed():
            return
        # Of a shard that is made again the record goes first: no record ever stands beside another tar.
        store.remove(f"{name}.json")
        if self._members:
            store.put(f"{name}.tar", fill)
        else:
            store.remove(f"{name}.tar")
        copies = [c for c in self._task.copies if c >= 0]
        record = {
            "schema": SHARD_SCHEMA,
            "name": f"{name}.tar",
            "sha256": digest.hexdigest() if self._members else None,
            "bytes": size,
            "samples": len(self._members),
            "task": {
                "index": self._task.index,
                "sources": [entry.key for entry in self._task.entries],
                "copies": [copies[0], copies[-1] + 1] if copies else [0, 0],
                "fingerprint": fingerprint_of(self._task.entries),
            },
            **({} if self._job.outputs.are_even else {"expected": tally.planned}),
            **tally.fields(),
            **({} if self._windows is None else self._windows.fields()),
            "config": self._task.config,
            "run": self._circumstances(seconds),
        }
        put_json(store, f"{name}.json", record)

    def _is_committed(self) -> bool:
        """Whether another attempt has committed this shard: a worker that was given up may have gone on.

        The later attempt then changes nothing: stopped in the middle, it would take the shard from a finished folder.
        """
        task, store = self._task, self._job.store
        try:
            if sha256_of(store, f"{task.name}.json") == task.replaces:
                return False
        except OSError:
            return False
        record, _ = read_record(store, task.name, task.index, task.copies, task.config, even=False)
        if record is None or record["task"].get("fingerprint") != fingerprint_of(task.entries):
            return False
        return not fault_of_tar(store, task.name, record, check=True)

    def _circumstances(self, seconds: float) -> dict[str, Any]:
        """How the shard was made; not covered by the promise of the same bytes."""
        run: dict[str, Any] = {
            "seconds": round(seconds, 3),
            "attempts": self._attempt.number,
            "fallbacks": self._fallbacks,
            "sources": seen_json(self._task.entries, self._stamps),
        }
        waits = waited().since(self._waited)
        if waits.times:  # for servers that asked for it
            run["waited"] = {"times": waits.times, "seconds": round(waits.seconds, 3)}
        return run if self._job.versions is None else {**run, "versions": dict(self._job.versions)}

    def _content(self, spool: IO[bytes]) -> Iterator[bytes]:
        """The tar: samples in the seeded order of their keys, so that copies of one picture do not fill a batch."""
        for _, offset, length in sorted(self._members):
            spool.seek(offset)
            yield spool.read(length)
        yield END


def _file_of(data: bytes, header: Header, rendered: Rendered) -> bytes | Reject:
    """The file of a source as its original, or the reject if its pixels are damaged, as its copies have shown."""
    made: Sequence[object] = rendered.pictures or (or_reject("decode", _decoded, data, header),)
    return next((found for found in made if isinstance(found, Reject) and found.stage == "decode"), data)


def _decoded(data: bytes, header: Header) -> Pixels | Reject:
    return decode(data, header)
