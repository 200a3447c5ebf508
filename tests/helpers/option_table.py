"""One row an option of the command line: a source on which it shows, and two values of it.

The commands themselves say which options there are (:func:`options_of`), so that a new one without a row is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import typer.main
from builders import (
    coco,
    encoded,
    exif,
    image,
    object_xml,
    photo,
    row,
    voc_xml,
    write_json,
    write_mask,
    write_picture,
    write_tar,
    write_voc,
)
from pictures import band_tiff

from augpipe.cli.main import app

RECIPES = {
    "flip.yaml": "version: 1\nsteps: [horizontal_flip]\n",
    "moved.yaml": "version: 1\nlabels: {min_visibility: 0.2}\nsteps:\n  - affine: {rotate: [-30, 30]}\n",
    "noise.yaml": "version: 1\nsteps:\n  - gaussian_noise: {std: 30}\n",  # of its own in each channel
    "around.yaml": "version: 1\nsteps: [bbox_safe_crop]\n",  # the plans depend on the boxes
    "object.yaml": "version: 1\nsteps: [object_crop]\n",  # and these on the objects
}


def options_of(command: str) -> list[str]:
    """The long names of the options of a command, or of one of a group, as ``dataset merge``."""
    found = typer.main.get_command(app)
    for word in command.split():
        found = found.commands[word]
    return [p.opts[0] for p in found.params if p.param_type_name == "option"]


@dataclass(frozen=True)
class Row:
    """An option that changes what a command writes.

    Attributes:
        source: makes the source on which it shows in an empty folder, and gives its place.
        one, two: arguments with one value and another; ``{folder}`` is the folder in which the source was made.
        config: where run.json says it, with dots.
        commands: that take the option with this meaning; a pair of formats stands for ``convert``.
        always: arguments of ``augment`` without which it would not show.
        recipe: one of :data:`RECIPES`.
    """

    source: Callable[[Path], Path]
    one: tuple[str, ...]
    two: tuple[str, ...]
    config: str = ""
    commands: tuple[str, ...] = ("augment",)
    always: tuple[str, ...] = ()
    recipe: str = "moved.yaml"


# --- sources ---------------------------------------------------------------------------------------------------------


def plain(folder: Path) -> Path:
    """VOC with two lists."""
    return datasets.make_voc(folder / "voc", 4, objects=2)


def parted(folder: Path) -> Path:
    """VOC whose lists are splits."""
    return datasets.make_voc(folder / "voc", 4, objects=2, lists=("train", "val"))


def uneven(folder: Path) -> Path:
    """VOC of four pictures of cats and four of dogs, whose hashes put more of the ones than of the others in val."""
    names = ["cat"] * 4 + ["dog"] * 4
    return write_voc(folder / "voc", {f"p{i}": voc_xml(object_xml(name)) for i, name in enumerate(names)})


def half_listed(folder: Path) -> Path:
    """VOC of which half the pictures are in train, and half in no split."""
    return datasets.make_voc(folder / "voc", 4, objects=2, lists=("train", "second"))


def turned(folder: Path) -> Path:
    """VOC with a square picture that EXIF turns by a quarter: nothing tells which way its box lies."""
    root = write_voc(folder / "voc", {"a": voc_xml(object_xml(box=(3, 5, 20, 12)), size=(40, 40))}, pictures=None)
    (root / "JPEGImages").mkdir()
    (root / "JPEGImages" / "a.jpg").write_bytes(encoded(photo((40, 40)), exif=exif(6)))
    return root


def from_nothing(folder: Path) -> Path:
    """VOC whose box fits whether it counts from 0 or from 1."""
    return write_voc(folder / "voc", {"a": voc_xml(object_xml(box=(3, 2, 9, 8)))})


def two_classes(folder: Path) -> Path:
    """VOC, and two lists of its classes in other orders."""
    (folder / "one.txt").write_text("cat\ndog\n")
    (folder / "two.txt").write_text("dog\ncat\n")
    return write_voc(folder / "voc", {"a": voc_xml(object_xml(), object_xml("dog", (3, 3, 18, 9)))})


def two_folders_of_pictures(folder: Path) -> Path:
    """A COCO JSON, and two folders with a picture of its name, of two sizes."""
    for name, size_wh in (("one", (20, 10)), ("two", (30, 24))):
        (folder / name).mkdir()
        (folder / name / "a.jpg").write_bytes(encoded(photo(size_wh)))
    nameless = {key: value for key, value in image().items() if key not in ("width", "height")}
    return write_json(folder / "a.json", coco([nameless], [row()]))


def voc_and_shards(folder: Path) -> Path:
    """A tar that can be read as a VOC tree and as shards."""
    xml, picture = voc_xml(object_xml()).encode(), encoded(photo((20, 10)))
    members = [("Annotations/a.xml", xml), ("JPEGImages/a.jpg", picture), ("b.jpg", picture), ("b.xml", xml)]
    return write_tar(folder / "both.tar", members)


def masks(folder: Path) -> Path:
    return datasets.make_masks(folder / "set", 2)


def small_mask(folder: Path) -> Path:
    """Masks of a thing that fills a corner alone, which an operation around objects finds."""
    write_picture(folder / "set" / "images" / "a.png", (120, 90))
    values = np.zeros((90, 120), np.uint8)
    values[5:15, 5:25] = 1
    write_mask(folder / "set" / "masks" / "a.png", values)
    return folder / "set"


def cut_short(folder: Path) -> Path:
    """VOC with a whole picture and one whose file ends early."""
    root = write_voc(folder / "voc", {name: voc_xml(object_xml(), size=(120, 90)) for name in "ab"}, pictures=None)
    (root / "JPEGImages").mkdir()
    data = encoded(photo((120, 90)))
    (root / "JPEGImages" / "a.jpg").write_bytes(data)
    (root / "JPEGImages" / "b.jpg").write_bytes(data[: len(data) * 9 // 10])
    return root


def clipped(folder: Path) -> Path:
    """VOC with a box that leaves its picture."""
    boxes = {"a": object_xml(), "b": object_xml(box=(5, 2, 30, 8))}
    return write_voc(folder / "voc", {name: voc_xml(box) for name, box in boxes.items()})


def holes(folder: Path) -> Path:
    """COCO with a polygon, which YOLO may hold as a box, too."""
    folder.joinpath("images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(encoded(photo((20, 10))))
    return write_json(folder / "a.json", coco([image()], [row(segmentation=[[2, 1, 7, 1, 7, 5]])]))


def crowded(folder: Path) -> Path:
    """COCO with an object and a crowd."""
    write_picture(folder / "images" / "a.jpg")
    rows = [row(1), row(2, bbox=[9, 1, 8, 6], iscrowd=1)]
    return write_json(folder / "a.json", coco([image()], rows))


def half(folder: Path) -> Path:
    """COCO that states half the size of its picture."""
    write_picture(folder / "images" / "a.jpg", (40, 20))
    return write_json(folder / "a.json", coco([image()], [row()]))


def two_pictures(folder: Path, one: bytes, two: bytes, ending: str) -> Path:
    """Two classes with a picture each."""
    for name, data in (("cat", one), ("dog", two)):
        (folder / "set" / name).mkdir(parents=True)
        (folder / "set" / name / f"a.{ending}").write_bytes(data)
    return folder / "set"


def deep(folder: Path) -> Path:
    """Two PNG of 16 bits that use 12."""
    values = np.arange(0, 4096, 5, dtype=np.uint16)[:800].reshape(20, 40)
    return two_pictures(folder, encoded(values, "PNG"), encoded(values[::-1].copy(), "PNG"), "png")


def banded(folder: Path) -> Path:
    """Two TIFFs of five bands."""
    values = np.arange(20 * 40 * 5, dtype=np.uint16).reshape(20, 40, 5).astype(np.uint8)
    return two_pictures(folder, band_tiff(values), band_tiff(values[::-1].copy()), "tif")


def gray(folder: Path) -> Path:
    """Two gray JPEGs."""
    pixels = photo((40, 24))[:, :, 0].copy()
    return two_pictures(folder, encoded(pixels), encoded(pixels[::-1].copy()), "jpg")


# --- what shows ------------------------------------------------------------------------------------------------------

MAKERS = ("augment", "plan", "preview")
TILED = ("augment", "tile")
READERS = (*MAKERS, "inspect")
ALL_MAY_BE_LOST = ("--max-rejects", "100%")

ROWS = {
    "--recipe": Row(plain, ("-r", "{folder}/flip.yaml"), ("-r", "{folder}/moved.yaml"), "recipe.digest", MAKERS),
    "--set": Row(plain, ("--set", "steps.affine.rotate=10"), ("--set", "steps.affine.rotate=20"),
                 "recipe.canonical", MAKERS),
    "--seed": Row(plain, ("--seed", "1"), ("--seed", "2"), "seed", (*MAKERS, "tile")),
    "--copies": Row(plain, ("-n", "1"), ("-n", "2"), "copies", MAKERS),
    "--originals": Row(plain, (), ("--originals",), "originals"),
    "--from": Row(voc_and_shards, ("--from", "voc"), ("--from", "shards"), "source.format", (*READERS, "tile")),
    "--split": Row(plain, ("--split", "first"), ("--split", "second"), "split", (*READERS, "tile", "voc-to-coco")),
    "--augment-split": Row(parted, ("--augment-split", "train"), ("--augment-split", "val"), "augmented"),
    "--pass-split": Row(half_listed, (), ("--pass-split", "train"), "augmented"),
    "--val": Row(plain, ("--val", "30%"), ("--val", "60%"), "parting.val"),
    "--test": Row(plain, ("--test", "30%"), ("--test", "60%"), "parting.test"),
    "--group-by": Row(plain, ("--val", "50%", "--group-by", "img_00[01]"), ("--val", "50%", "--group-by", "img_00[03]"),
                      "parting.group_by"),
    "--stratify": Row(uneven, ("--val", "50%"), ("--val", "50%", "--stratify"), "parting.stratify"),
    "--classes": Row(two_classes, ("--classes", "{folder}/one.txt"), ("--classes", "{folder}/two.txt"),
                     "categories", ("augment", "tile", "preview", "inspect", "voc-to-coco")),
    "--map": Row(two_classes, ("--map", "cat=dog"), ("--map", "dog=cat"), "map", ("augment", "inspect", "voc-to-coco")),
    "--crowds": Row(crowded, ("--crowds", "keep"), ("--crowds", "drop"), "reading.crowds",
                    (*READERS, "coco-to-voc"), recipe="around.yaml"),
    "--instances": Row(small_mask, ("--instances", "keep"), ("--instances", "components"), "reading.instances",
                       (*READERS, "masks-to-voc"), recipe="object.yaml"),
    "--size-mismatch": Row(half, ("--size-mismatch", "keep"), ("--size-mismatch", "scale"), "reading.size_mismatch",
                           (*READERS, "coco-to-voc"), recipe="around.yaml"),
    "--images": Row(two_folders_of_pictures, ("--images", "{folder}/one"), ("--images", "{folder}/two"),
                    "source.fingerprint", (*READERS, "tile", "coco-to-voc")),
    "--limit": Row(plain, ("--limit", "1"), ("--limit", "3"), "limit", (*READERS, "tile", "voc-to-coco")),
    "--exif": Row(turned, ("--exif", "upright"), ("--exif", "stored"), "reading.exif", (*READERS, "tile"),
                  recipe="around.yaml"),
    "--voc-origin": Row(from_nothing, ("--voc-origin", "1"), ("--voc-origin", "0"), "reading.voc_origin",
                        (*READERS, "tile", "voc-to-coco"), recipe="around.yaml"),
    "--void": Row(masks, ("--void", "255"), ("--void", "7"), "void.semantic", ("augment", "tile", "preview")),
    "--picture": Row(from_nothing, ("--picture", "jpg"), ("--picture", "png"), "picture.format", TILED),
    "--subsampling": Row(from_nothing, ("--subsampling", "420"), ("--subsampling", "444"), "picture.subsampling"),
    "--range": Row(deep, ("--range", "0,1000"), ("--range", "0,4095"), "picture.range", ("augment", "tile", "preview")),
    "--bands": Row(banded, ("--bands", "1,2,3"), ("--bands", "5,4,1"), "picture.bands", ("augment", "tile", "preview")),
    "--channels": Row(gray, ("--channels", "source"), ("--channels", "rgb"), "picture.channels",
                      ("augment", "tile", "preview"), recipe="noise.yaml"),
    "--quality": Row(from_nothing, ("--quality", "90"), ("--quality", "40"), "picture.quality", TILED),
    "--sources-per-shard": Row(plain, ("--sources-per-shard", "1"), ("--sources-per-shard", "2"), "sources_per_shard",
                               TILED),
    "--max-pixels": Row(plain, ("--max-pixels", "64000000"), ("--max-pixels", "7000"), "reading.max_pixels", TILED,
                        always=ALL_MAY_BE_LOST),
    "--truncated": Row(cut_short, ("--truncated", "reject"), ("--truncated", "keep"), "reading.truncated", TILED,
                       always=ALL_MAY_BE_LOST),
    "--strict": Row(clipped, (), ("--strict",), "reading.strict", TILED, always=ALL_MAY_BE_LOST),
    "--tile": Row(plain, ("--tile", "100"), ("--tile", "200"), commands=("preview",)),
    "--kind": Row(holes, ("--kind", "detect"), ("--kind", "segment"), commands=("coco-to-yolo",)),
    "--ids": Row(plain, ("--ids", "keep"), ("--ids", "sequential"), commands=("voc-to-coco",)),
    "--pictures": Row(plain, ("--pictures", "copy"), ("--pictures", "reference"), commands=("voc-to-coco",)),
}  # fmt: skip

OPTIONS, WINDOWS, CROPS = "cli/test_options.py::", "run/test_run_windows.py::", "run/test_run_crops.py::"
SHARED_WITH_TILE = (
    "--seed", "--to", "--kind", "--ids", "--set", "--from", "--split", "--classes", "--images", "--limit", "--exif",
    "--voc-origin", "--void", "--range", "--bands", "--channels", "--picture", "--quality", "--sources-per-shard",
    "--max-pixels", "--truncated", "--strict", "--overwrite", "--check", "--tasks",
)  # fmt: skip
MERGE, FILTER, PARTED = (f"conversion/test_{name}.py::" for name in ("merge", "filter", "parted"))
_OF_SETS = "conversion/test_dataset_options.py::"
_SET = {
    "--to": _OF_SETS + "test_another_format_and_any_number_of_workers",
    "--from": _OF_SETS + "test_a_source_that_can_be_read_in_two_ways",
    "--split": _OF_SETS + "test_one_split_of_all",
    "--overwrite": _OF_SETS + "test_nothing_is_written_over_unless_asked",
    "--pictures": _OF_SETS + "test_pictures_are_copied_or_linked_to",
    "--strict": _OF_SETS + "test_strict_writes_nothing_where_something_is_lost",
}
_ONE_SET = dict.fromkeys(("--images", "--limit"), _OF_SETS + "test_pictures_elsewhere_and_only_the_first")
_OWN = "run/test_own_operations.py::"
_WITH_OPS = {"--ops": _OWN + "test_every_command_that_takes_a_recipe_takes_the_file"}
TRIED = {
    "augment": {
        **_WITH_OPS,
        "--to": "conversion/test_augment_to.py::test_one_command_writes_what_two_do",
        "--kind": "conversion/test_augment_to_refused.py::test_options_of_the_format_are_given_on",
        "--ids": "conversion/test_augment_to_refused.py::test_options_of_the_format_are_given_on",
        "--device": "run/test_devices.py::test_another_device_is_another_configuration",
        "--codec": "run/test_devices.py::test_what_was_begun_on_cuda_goes_on_there_with_the_same_codec",
        "--overwrite": "run/folder/test_store.py::test_overwrite_deletes_only_what_the_records_name",
        "--check": "run/test_resume.py::test_check_finds_a_bit_that_has_turned_and_nothing_else_does",
        "--extend": "run/test_resume.py::test_copies_are_added_without_touching_what_is_there",
        "--tasks": "run/test_resume.py::test_parts_of_the_tasks_in_any_order_come_to_the_same_bytes",
    },
    "tile": {
        **dict.fromkeys(("--size", "--overlap"), WINDOWS + "test_tiles_are_the_pictures_own_pixels_and_labels"),
        "--min-visibility": WINDOWS + "test_objects_in_no_tile_are_counted_and_named",
        "--keep-empty": WINDOWS + "test_empty_tiles_that_are_left_out_are_counted",
        "--pad": WINDOWS + "test_padded_tiles",
        "--set": WINDOWS + "test_rules_of_labels_are_set",
        **dict.fromkeys(("--to", "--kind", "--ids"), CROPS + "test_tiles_become_a_dataset_of_another_format"),
        "--tasks": WINDOWS + "test_the_same_bytes_for_any_number_of_workers_and_after_a_loss",
        **dict.fromkeys(("--check", "--overwrite"), WINDOWS + "test_shards_are_checked_and_made_anew"),
    },
    "crops": {
        "--margin": CROPS + "test_each_object_is_a_picture_with_its_class",
        **dict.fromkeys(("--square", "--others"), CROPS + "test_squares_with_other_objects"),
        "--min-side": CROPS + "test_crowds_and_what_is_small_are_counted",
        **dict.fromkeys(SHARED_WITH_TILE, WINDOWS + "test_both_commands_share_their_options"),
    },
    "retry": {
        **_WITH_OPS,
        "--all": "run/test_retry.py::test_mended_files_are_taken_up_and_only_their_shards_made",
        "--source": "run/test_retry.py::test_a_source_that_was_moved_is_found_where_it_is_said_to_be",
    },
    "finish": {},
    "convert": {
        "--overwrite": "conversion/test_convert_options.py::test_pictures_as_links",
        "--strict": "conversion/test_convert_options.py::test_strict_writes_nothing_if_anything_is_lost_or_odd",
    },
    "preview": {
        **_WITH_OPS,
        "--output": "cli/test_commands.py::test_preview_writes_a_sheet",
        "--map": OPTIONS + "test_classes_decide_what_can_be_planned",
    },
    "plan": {
        **_WITH_OPS,
        "--classes": OPTIONS + "test_classes_decide_what_can_be_planned",
        "--map": OPTIONS + "test_classes_decide_what_can_be_planned",
    },
    "inspect": {
        "--diff": "survey/test_survey_output.py::test_two_datasets_side_by_side",
        "--output": "survey/test_survey_output.py::test_plots_of_every_format_and_of_many_classes",
        "--json": "survey/test_survey_output.py::test_the_documented_keys_are_those_of_the_json",
    },
    "verify": {
        "--ops": _OWN + "test_verify_judges_everything_with_the_code_and_counts_what_it_cannot_without",
        "--against": OPTIONS + "test_augment_and_what_goes_on_with_its_folder",
        "--classes": OPTIONS + "test_verify_reads_a_source_as_it_is_told_to",
        "--images": OPTIONS + "test_verify_reads_a_source_as_it_is_told_to",
        "--samples": OPTIONS + "test_so_many_samples_are_compared",
        "--sheet": "verification/test_verify_cli.py::test_a_sound_folder",
        "--json": "verification/test_verify_cli.py::test_what_is_off_is_said_and_ends_in_1",
    },
    "replay": {
        **_WITH_OPS,
        "--output": "replay/test_replay.py::test_the_command_writes_the_picture_or_all_files",
        "--against": "replay/test_replay.py::test_a_moved_source_is_named",
        "--classes": "replay/test_replay.py::test_names_and_pictures_that_were_moved_too",
        "--images": "replay/test_replay.py::test_names_and_pictures_that_were_moved_too",
    },
    "dataset merge": {**_SET, "--equal-names": MERGE + "test_pictures_of_one_name_get_the_name_of_their_dataset"},
    "dataset filter": {
        **_SET,
        **_ONE_SET,
        "--classes": FILTER + "test_classes_that_stay_and_that_go",
        "--drop": FILTER + "test_classes_that_stay_and_that_go",
        **dict.fromkeys(("--min-side", "--max-side"), FILTER + "test_sizes_of_objects"),
        **dict.fromkeys(
            ("--min-picture", "--max-picture"), FILTER + "test_pictures_without_objects_and_of_other_sizes"
        ),
        "--keep-empty": FILTER + "test_a_share_of_the_empty_ones_by_the_hash_of_their_names",
    },
    "dataset rename": {**_SET, **_ONE_SET, "--map": FILTER + "test_other_names_and_classes_that_become_one"},
    "dataset split": {
        **{name: test for name, test in _SET.items() if name != "--split"},
        **_ONE_SET,
        **dict.fromkeys(("--val", "--test"), PARTED + "test_every_format_puts_the_splits_where_they_belong"),
        "--group-by": PARTED + "test_groups_stay_together",
        "--stratify": "formats/layout/test_stratifying.py::test_dataset_split_and_augment_part_alike",
        "--again": PARTED + "test_what_was_parted_and_written_is_parted_the_same_again",
    },
    "doctor": {},
    "recipes show": {**_WITH_OPS, "--expanded": "recipe/test_printing.py::test_expanded_it_means_the_same"},
    "recipes operations": {"--json": "recipe/test_printing.py::test_operations_as_data"},
}
"""Options of one command alone, and the test that tries each."""

EVERYWHERE = {
    "--debug": "cli/test_cli.py::test_debug_shows_the_traceback",
    "--workers": OPTIONS + "test_workers_are_processes_and_change_nothing",
    "--max-rejects": OPTIONS + "test_limits_decide_the_exit_code_alone",
    "--max-dropped": OPTIONS + "test_limits_decide_the_exit_code_alone",
    "--accept-version": "run/test_resume.py::test_other_versions_are_refused_with_the_way_to_accept_them",
    "--time-limit": OPTIONS + "test_the_time_limit_comes_to_the_engine",
}
"""Options that decide no byte, whichever command takes them."""
