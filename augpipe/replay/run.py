"""One sample made again and compared with what its shard has, file by file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from augpipe.core.annotations import Frame
from augpipe.core.canvas import fault_of
from augpipe.core.errors import DatasetError, Reject, RunError, UsageError, one_line, refusals_told
from augpipe.core.paths import StrPath
from augpipe.core.plan import Plan
from augpipe.formats.base import Entry, read_picture
from augpipe.formats.webdataset.dataset_list import HIDDEN
from augpipe.formats.webdataset.safe_parse import members_of
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.factory import backend_for
from augpipe.replay.stored import FoundSample, found_sample, nearest_of
from augpipe.run.augment import open_run
from augpipe.run.config import differences
from augpipe.run.devices import kept_device
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store, open_store
from augpipe.run.job import Job, Task
from augpipe.run.outputs import Augmented, Outputs, Windowed, outputs_of
from augpipe.run.request import read_request
from augpipe.run.runner import RunInput, job_of
from augpipe.run.task import made_by
from augpipe.windows.samples import PlannedSamples, Rules

_END = 1024  # bytes of the last two blocks of a tar


@dataclass(frozen=True)
class Replayed:
    """A sample made again.

    Attributes:
        key: its KEY.
        shard: name of the shard that has it, without an ending.
        source: key of the picture that it was made of.
        copy: its number, −1 for an original.
        place: where the source is.
        members: its files as they were made now, by ending; the first is the picture.
        stored: its files as the shard has them.
        remarks: sentences on why files may differ.
    """

    key: str
    shard: str
    source: str
    copy: int
    place: str
    members: Mapping[str, bytes]
    stored: Mapping[str, bytes]
    remarks: tuple[str, ...] = ()

    @property
    def outcomes(self) -> dict[str, str]:
        """Ending → ``same``, or what is otherwise."""
        found = {}
        for ending in (*self.members, *(self.stored.keys() - self.members.keys())):
            now, then = self.members.get(ending), self.stored.get(ending)
            if now is None or then is None:
                found[ending] = "is in the shard alone" if now is None else "is not in the shard"
            else:
                found[ending] = "same" if now == then else f"differs, {len(then):,} bytes in the shard"
        return found

    @property
    def is_same(self) -> bool:
        """Whether every file has the bytes that the shard has."""
        return dict(self.members) == dict(self.stored)


def replay(
    folder: StrPath | Store,
    key: str,
    source: StrPath | None = None,
    *,
    classes: Path | None = None,
    images: StrPath | None = None,
) -> Replayed:
    """Make one sample of a folder again, from its plan and the picture and labels of its source.

    Args:
        folder: of a run, finished or not; it is only read.
        key: the KEY of the sample.
        source: where the source is now; where the run had it if not given.
        classes: where its file of class names is now.
        images: where its pictures are now, if they lie apart from the labels.

    Raises:
        UsageError: there is no run or no such sample, or the source is not what it was.
        RunError: the sample cannot be made.
    """
    store = open_store(folder)
    with refusals_told(store.folder):
        state = RunFolder(store).state()
        if state is None:
            raise UsageError(_no_run(store.folder))
        sample = found_sample(store, key)
        made_of = _source(store, state, source, classes, images)
        entry, data = _entry(made_of, sample)
        job = job_of(made_of, store, _outputs(made_of, sample.plan))
        _require_followed(job, data, sample)
        members = _made(job, entry, sample, _split(state, sample))
    remarks = (*_other_labels(entry, sample), *_other_versions(state, made_of, sample))
    return Replayed(
        sample.key, sample.shard, sample.source, sample.copy, made_of.source, members, sample.members, remarks
    )


def _no_run(folder: Path | str) -> str:
    if isinstance(folder, Path) and (folder / HIDDEN).is_dir():
        way = "augment without --to to have samples that can be made again"
        return f"{one_line(folder)}: holds a dataset of pictures and labels; plans are kept in shards alone, so {way}"
    return f"{one_line(folder)}: holds no run of augpipe; give the DST of augment, tile or crops"


def _source(
    store: Store, state: RunState, source: StrPath | None, classes: Path | None, images: StrPath | None
) -> RunInput:
    """The source of the run and all that decides its bytes, as run.json has it."""
    device = kept_device(state.config, store.folder)
    moved = {name: os.fspath(place) for name, place in (("classes", classes), ("images", images)) if place is not None}
    request = {**state.request, **moved} if state.request else state.request
    place = None if source is None else os.fspath(source)
    return open_run(*read_request(state.config, request, place, device, "--against SRC"))


def _entry(made_of: RunInput, sample: FoundSample) -> tuple[Entry, bytes]:
    """The picture of the source, and its file.

    Raises:
        UsageError: it is not there, or another one now.
    """
    place = one_line(made_of.source)
    entry = next((e for e in made_of.dataset.entries if e.key == sample.source), None)
    if entry is None:
        near = nearest_of(sample.source, (e.key for e in made_of.dataset.entries), "'augpipe inspect'")
        raise UsageError(
            f"{place}: has no picture '{one_line(sample.source)}'{near}\n--against SRC says where the source is"
        )
    try:
        data = read_picture(entry)
    except Reject as reject:
        raise UsageError(
            f"{place}: {one_line(entry.key)} cannot be read: {one_line(reject.message)}\n"
            "bring it back, or say with --against SRC where the source is"
        ) from reject
    digest = hashlib.sha256(data).hexdigest()
    if digest != sample.sha256:
        raise UsageError(
            f"{place}: {one_line(entry.key)} is not the file that the sample was made of: its sha256 is "
            f"{digest[:12]}…, it was {sample.sha256[:12]}…\n"
            "bring it back, or say with --against SRC where it is; 'augpipe retry DST --all' takes up the new one"
        )
    return entry, data


def _require_followed(job: Job, data: bytes, sample: FoundSample) -> None:
    """Make sure that the plan of a file, which may be damaged, asks for nothing impossible."""
    try:
        size_wh = read_header(data, job.max_pixels, job.reading).upright_wh
        fault = fault_of(sample.plan.steps_alone(), size_wh)
    except (Reject, ValueError) as error:
        fault = str(error)
    if fault is not None:
        raise DatasetError(f"{sample.shard}.tar: {sample.key}.json: a plan that cannot be followed: {fault}")


def _split(state: RunState, sample: FoundSample) -> str:
    """The split of the part of the run that the sample's shard belongs to."""
    number = sample.record["task"]["index"]
    part = next((part for part in state.parts if number in part.tasks), None)
    if part is None or part.name_of(number) != sample.shard:
        raise UsageError(f"{sample.shard}.tar: is none of the shards of this run.json; copy both from one folder")
    return part.split


@dataclass(frozen=True)
class _OneCopy(Augmented):
    """A copy by a plan that is there."""

    stored: Plan = field(kw_only=True)

    def plan(self, frame: Frame, number: int) -> Plan:
        return self.stored


@dataclass(frozen=True)
class _OneWindow(Windowed):
    """One window of those of a picture, which has to be as its plan says."""

    stored: Plan = field(kw_only=True)

    def samples(self, frame: Frame, copies: tuple[int, ...]) -> PlannedSamples:
        whole = super().samples(frame, copies)
        mine = tuple(s for s in whole.samples if s.number in copies and s.plan == self.stored)
        if not mine:
            raise Reject("plan", "other-window", "of this picture and its labels there is no such window any more")
        return PlannedSamples(mine)


def _outputs(made_of: RunInput, plan: Plan) -> Outputs:
    """What makes the sample of a plan, with the labels that the run gives it."""
    whole = outputs_of(made_of.recipe, made_of.options, made_of.dataset.categories)
    if isinstance(whole, Windowed):
        return _OneWindow(whole.spec, whole.seed, whole.rules, stored=plan)
    rules = Rules(made_of.recipe.rules, {c.id: c for c in made_of.dataset.categories}, made_of.options.source.void)
    return _OneCopy(made_of.recipe, made_of.options.seed, rules, stored=plan)


def _made(job: Job, entry: Entry, sample: FoundSample, split: str) -> dict[str, bytes]:
    task = Task(0, sample.shard, (entry,), (sample.copy,), "", split)
    backend = backend_for(job.device, job.backend_options)
    tar, rejects = made_by(job, task, backend)
    if rejects or len(tar) <= _END:
        why = one_line(rejects[0]["message"]) if rejects else "nothing came"
        raise RunError(f"{one_line(entry.key)}: the sample cannot be made again: {why}")
    _, members = members_of(memoryview(tar))
    return {ending: bytes(data) for ending, data in members.items()}


def _other_labels(entry: Entry, sample: FoundSample) -> list[str]:
    seen = sample.record["run"].get("sources")
    if seen is None:
        return []
    then = seen["labels"][sample.record["task"]["sources"].index(sample.source)]
    return [] if then in (None, entry.digest.hex()) else ["the labels of the picture have changed since"]


def _other_versions(state: RunState, made_of: RunInput, sample: FoundSample) -> list[str]:
    then = sample.record["run"].get("versions") or state.config.get("versions")
    changed = differences({"versions": then}, {"versions": made_of.config["versions"]})
    return [f"made by other versions: {'; '.join(changed[:3])}"] if changed else []
