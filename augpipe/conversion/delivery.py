"""From the shards of a run in the hidden folder of a dataset to the dataset: written, listed, moved to its place.

Once the dataset is there its tars go. The records of the run and the list of files stay: by them the same command knows
that there is nothing to do, and finds what was damaged. Where the dataset has to be written again, all shards are made
again first, to the same bytes, as a shard is a pure function of its sources.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from augpipe.conversion.dataset_folder import DatasetFolder, HiddenStore
from augpipe.conversion.originals import under_own_names
from augpipe.conversion.report import ConversionReport
from augpipe.conversion.run import no_label_of, no_object_of, require_possible_for, target_named, write_dataset
from augpipe.core import parallel
from augpipe.core.errors import DatasetError, RunError, UsageError, one_line
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.registry import open_dataset
from augpipe.formats.webdataset.dataset_list import ConversionRecord, DatasetList, DatasetRecord, read_list
from augpipe.formats.webdataset.schema import MANIFEST, ManifestRecord, ShardRow, read_manifest, record_from
from augpipe.formats.writer import WriteOptions
from augpipe.run.augment import Execution, Summary, Watcher
from augpipe.run.folder.inventory import take_stock
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.state import RunState

_MOST_FAULTS = 3


@dataclass(frozen=True)
class DatasetForm:
    """The format of a dataset, and what is asked of it: see :class:`augpipe.formats.writer.WriteOptions`."""

    to: str
    kind: str | None = None
    ids: Literal["keep", "sequential"] = "keep"

    @property
    def write(self) -> WriteOptions:
        return WriteOptions(self.kind, self.ids)

    def __str__(self) -> str:
        """As the command line has it."""
        kind = f" --kind {one_line(self.kind)}" if self.kind else ""
        return f"--to {one_line(self.to)}{kind}{' --ids sequential' if self.ids == 'sequential' else ''}"


Make = Callable[[HiddenStore, Watcher, Execution], Summary]
"""Makes the shards that are missing in a store."""


@dataclass(frozen=True)
class DeliveredDataset:
    """What became of a dataset folder: of its run, and of the writing, ``None`` if this call has not written.

    ``to`` is the format.
    """

    summary: Summary
    report: ConversionReport | None
    to: str


class _Relay(Watcher):
    """Hears what a run says for another watcher, and is asked before it begins and when it does."""

    def __init__(self, to: Watcher, opened: Callable[[Dataset], None], began: Callable[[], None]) -> None:
        super().__init__()
        self._to, self._opened, self._began = to, opened, began

    def opened(self, dataset: Dataset) -> None:
        self._opened(dataset)
        self._to.opened(dataset)

    def started(self, dataset: Dataset, done: int, pictures: int) -> None:
        self._began()
        self._to.remarks = self.remarks
        self._to.started(dataset, done, pictures)

    def progress(self, pictures: int, rejected: int) -> None:
        self._to.progress(pictures, rejected)

    def trouble(self, sentence: str) -> None:
        self._to.trouble(sentence)


class Delivery:
    """One call for one dataset folder; ``makes`` says whether it can make shards again whose tars are gone."""

    def __init__(
        self, place: DatasetFolder, form: DatasetForm, how: Execution, watcher: Watcher, makes: bool = True
    ) -> None:
        self._place, self._form, self._how, self._watcher, self._makes = place, form, how, watcher, makes
        self._target = target_named(form.to, form.write)

    def carry_out(self, make: Make) -> DeliveredDataset:
        """Make what is missing of the shards and of the dataset.

        Raises:
            UsageError: the folder holds another dataset, or the request cannot work.
            RunError: it cannot go on; the same call goes on later.
        """
        listed = None if self._how.overwrite else self._listed()
        self._require_same(listed)
        with parallel.worker_pool(self._how.workers if self._how.check else 0):
            is_whole = self._is_whole(listed)
        summary = self._pass(make, self._how)
        if not summary.finished or not summary.written:
            return DeliveredDataset(summary, None, self._form.to)
        again = self._is_to_be_made_again(is_whole)
        if again:
            summary = self._pass(make, replace(self._how, overwrite=False))
        report = self._delivered(is_whole)
        return DeliveredDataset(
            replace(summary, already_done=summary.already_done and report is None), report, self._form.to
        )

    def _listed(self) -> DatasetList | None:
        """The list of the folder; one that is damaged is told, and counts as none, since all of it can be made anew."""
        try:
            return read_list(self._place.folder)
        except DatasetError as error:
            self._watcher.trouble(f"{one_line(error)}; it is made again")
            return None

    def _require_same(self, listed: DatasetList | None) -> None:
        if listed is None or self._how.overwrite:
            return
        before = DatasetForm(listed.record.to, listed.record.kind, listed.record.ids)
        if before != self._form:
            raise UsageError(
                f"{self._place.folder}: holds a dataset of {before}, which is not {self._form}\n"
                f"choose another DST, or --overwrite to delete that one; {before} goes on with it"
            )

    def _is_whole(self, listed: DatasetList | None) -> bool:
        """Whether every file of a finished dataset is what it was; those that are not are told."""
        if listed is None or not listed.record.placed:
            return True
        faults = list(self._place.faults(listed.files, self._how.check))
        for fault in faults[:_MOST_FAULTS]:
            self._watcher.trouble(f"{fault}; it is made again")
        if len(faults) > _MOST_FAULTS:
            self._watcher.trouble(f"{len(faults) - _MOST_FAULTS} more files are made again for such reasons")
        return not faults

    # --- the run ---

    def _pass(self, make: Make, how: Execution) -> Summary:
        """Let the run make what it lacks; tars that the dataset was made of are not lacking."""
        listed = self._listed()
        delivered = {row.name: row.bytes or 0 for row in listed.record.shards if row.samples} if listed else {}

        def began() -> None:
            if how.overwrite and listed is not None:
                self._place.remove(listed.files)
            if how.overwrite or listed is None:
                self._place.write(self._record())

        relay = _Relay(
            self._watcher, lambda dataset: require_possible_for(dataset, self._form.to, self._form.write), began
        )
        return make(HiddenStore(self._place.folder, {} if how.overwrite else delivered), relay, how)

    def _is_to_be_made_again(self, is_whole: bool) -> bool:
        """Whether the dataset has to be written and tars for it are gone; then their records go, too.

        Raises:
            UsageError: this call makes no shards.
        """
        with self._output() as output:
            output.lock()
            state, listed = self._state(output), self._listed()
            if self._is_there(listed, is_whole):
                return False
            gone = take_stock(output.store, state).broken
            if gone and not self._makes:
                raise UsageError(f"{self._place.folder}: its tars are gone; run the same augment command again")
            if gone:
                names = (f"{state.name_of(index)}.json" for index in gone)
                output.store.remove(MANIFEST, *names)
            return bool(gone)

    def _output(self) -> RunFolder:
        return RunFolder(HiddenStore(self._place.folder, {}))

    def _state(self, output: RunFolder) -> RunState:
        state = output.state()
        if state is None or not output.is_finished():
            raise RunError(f"{self._place.folder}: another run has changed it; run the same command to go on")
        return state

    # --- the dataset ---

    def _record(self) -> DatasetRecord:
        return DatasetRecord("augpipe-dataset/1", self._form.to, self._form.kind, self._form.ids)

    def _shards(self) -> tuple[ShardRow, ...]:
        return record_from(read_manifest(self._place.shards), ManifestRecord).shards

    def _is_there(self, listed: DatasetList | None, is_whole: bool) -> bool:
        return is_whole and listed is not None and listed.record.placed and listed.record.shards == self._shards()

    def _delivered(self, is_whole: bool) -> ConversionReport | None:
        """Bring the dataset to its place; ``None`` if it was there."""
        with self._output() as output:
            output.lock()
            state, listed = self._state(output), self._listed()
            if self._is_there(listed, is_whole):
                self._place.tidy()
                return None
            is_written = is_whole and listed is not None and listed.record.shards == self._shards()
            if listed is None or not is_written or not self._place.place(listed.files, self._target.pictures):
                listed = self._written(output, state, listed)
                if not self._place.place(listed.files, self._target.pictures):
                    raise RunError(
                        f"{self._place.folder}: files went while they were written; run the same command again"
                    )
            self._place.write(msgspec.structs.replace(listed.record, placed=True))
            self._place.tidy()
            return _report_of(listed.record.report)

    def _written(self, output: RunFolder, state: RunState, before: DatasetList | None) -> DatasetList:
        """Write the dataset into the stage, and list it."""
        records = take_stock(output.store, state).done.values()
        sources = [source for record in records for source in record["task"]["sources"]]
        samples = sum(record["samples"] for record in records)
        stage, folder = self._place.stage, self._place.folder
        try:
            shutil.rmtree(stage, ignore_errors=True)
            with parallel.worker_pool(self._how.workers):
                shards = open_dataset(str(self._place.shards), SourceOptions(format="shards"))
                self._require_room(output, sum(entry.size for entry in shards.entries))
                stage.mkdir(parents=True)
                report = ConversionReport()
                dataset = under_own_names(shards, sources, self._target)
                write_dataset(dataset, self._target, stage, stage, report, self._watcher.writing, self._form.write)
                rows = self._place.staged()
        except OSError as error:
            shutil.rmtree(stage, ignore_errors=True)
            raise RunError(
                f"{folder}: the dataset cannot be written: {error.strerror or error}; its shards stay\n"
                "make room or mend that, and run the same command to go on"
            ) from error
        if not report.pictures or report.pictures + len(report.lost) != samples:
            lost = f"; {report.lost[0]}" if report.lost else ""
            raise RunError(f"{folder}: {report.pictures} of {samples} samples were written as {self._form.to}{lost}")
        if why := no_object_of(report) or no_label_of(report):
            shutil.rmtree(stage, ignore_errors=True)
            help = "\n--to coco has a place for crowds; choose it with --overwrite" if report.losses["crowds"] else ""
            if help and state.config["source"]["format"].startswith("coco"):
                help += ", or --crowds instances takes them as objects"
            other = "masks" if report.kinds_in["semantic masks"] and not report.objects_in else "coco"
            advice = f"\n'augpipe convert shards-to-{other} {self._place.shards} OTHER' makes a dataset of them"
            if not help:
                help = f"{advice}; --overwrite with another --to deletes them"
            raise RunError(f"{folder}: {why}; its shards stay{help}")
        old = before.files if before is not None else ()
        self._place.require_free(rows, old)
        self._place.sync()
        now = {row.name for row in rows}
        self._place.remove(row for row in old if row.name not in now)
        record = msgspec.structs.replace(
            self._record(), shards=self._shards(), files=self._place.write_files(rows), report=_record_of(report)
        )
        self._place.write(record)
        return DatasetList(record, tuple(rows))

    def _require_room(self, output: RunFolder, needed: int) -> None:
        free = output.store.free_bytes()
        if free is not None and free < needed:
            raise RunError(
                f"{self._place.folder}: the dataset has {needed / 1e6:,.1f} MB of pictures, and there is room for "
                f"{free / 1e6:,.1f} MB; its shards stay\nmake room, and run the same command to go on"
            )


def _record_of(report: ConversionReport) -> ConversionRecord:
    return ConversionRecord(
        report.pictures,
        report.objects,
        dict(report.losses),
        report.examples,
        dict(report.notes),
        report.lost,
        report.remarks,
    )


def _report_of(record: ConversionRecord) -> ConversionReport:
    report = ConversionReport(pictures=record.pictures, objects=record.objects)
    report.losses.update(record.losses)
    report.notes.update(record.notes)
    report.examples, report.lost, report.remarks = record.examples, record.lost, record.remarks
    return report
