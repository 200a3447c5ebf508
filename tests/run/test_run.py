"""Whole runs: what lands in the folder, that it is the same however it was made, and what is lost is written down."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest
import webdataset as wds
from format_checker import check_folder
from runs import hashes, recipe_of, records, run, samples

from augpipe.core.errors import UsageError
from augpipe.core.opencv import cv2
from augpipe.core.rng import rank
from augpipe.pixels import cpu
from augpipe.pixels.codec.image import PictureFormat
from augpipe.run.folder.samples import END, sample_key, tar_member


@pytest.fixture(scope="module")
def finished(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    run(voc, folder, copies=3, seed=7)
    return folder


def sources_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.jpg")}


# --- what is in the folder -------------------------------------------------------------------------------------------


def test_the_checker_accepts_a_voc_run(finished, voc):
    assert check_folder(finished, sources=sources_of(voc / "JPEGImages")) == []


@pytest.mark.parametrize("recipe", ["segmentation", "keypoints", "gentle", "classification", "detection"])
def test_the_checker_accepts_every_shipped_recipe_on_coco(coco, tmp_path, recipe):
    run(coco, tmp_path / "out", recipe, copies=2, originals=True)
    assert check_folder(tmp_path / "out", sources=sources_of(coco / "images")) == []


def test_the_checker_accepts_masks_and_classes(masks_folder, classes_folder, tmp_path):
    for source in (masks_folder, classes_folder):
        out = tmp_path / source.parent.name
        run(source, out, "segmentation", copies=2)
        assert check_folder(out) == []


def test_the_checker_accepts_png_pictures_and_a_split(voc, tmp_path):
    summary = run(voc, tmp_path / "out", copies=2, split="first", picture=PictureFormat("png", subsampling="none"))
    assert summary.pictures == 4
    assert {p.name for p in (tmp_path / "out").glob("*.tar")} == {f"first-{i:06d}.tar" for i in range(4)}
    assert check_folder(tmp_path / "out") == []


def test_nothing_is_lost_and_the_sum_is_right(finished):
    totals = json.loads((finished / "manifest.json").read_text())["totals"]
    assert totals["written"] == totals["expected"] == 27
    assert totals["objects"] + sum(totals["dropped"].values()) == 27 * 3


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_plain_tarfile_and_webdataset_read_the_shards(finished):
    own = samples(finished)
    urls = [str(p) for p in sorted(finished.glob("*.tar"))]
    dataset = wds.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8")
    seen = {}
    for sample in dataset:
        seen[sample["__key__"]] = sample
    assert list(seen) == list(own)
    for key, sample in seen.items():
        record = json.loads(own[key]["json"])
        assert sample["jpg"].shape == (record["height"], record["width"], 3)
        assert sample["json"] == record
    del dataset
    gc.collect()  # webdataset leaves its files open, which must not be blamed on a later test


def test_samples_stand_in_the_seeded_order(finished):
    for path in finished.glob("*.tar"):
        with tarfile.open(path) as tar:
            keys = list(dict.fromkeys(m.name.partition(".")[0] for m in tar))
        assert keys == sorted(keys, key=lambda k: rank(7, k))


def test_tasks_follow_the_seeded_order_of_sources(finished):
    in_tasks = [
        key for path in sorted(finished.glob("all-*.json")) for key in json.loads(path.read_text())["task"]["sources"]
    ]
    assert in_tasks == sorted(in_tasks, key=lambda k: rank(7, k))
    assert len(in_tasks) == 9


def test_originals_are_the_pictures_themselves(voc, tmp_path):
    run(voc, tmp_path / "out", copies=0, originals=True)
    for record in records(tmp_path / "out").values():
        assert record["copy"] == -1
        assert record["plan"]["steps"] == record["plan"]["drawn"] == []
        xml = (voc / "Annotations" / record["source"]["key"]).with_suffix(".xml").read_text()
        for obj in record["objects"]:
            x0, y0, x1, y1 = (int(v) for v in obj["box_xyxy"])
            box = f"<xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
            assert box in xml
            assert obj["box_from"] == "source"
            assert obj["visible"] == 1


def test_a_flip_moves_boxes_and_pixels_alike(voc, tmp_path):
    recipe = recipe_of("version: 1\nsteps:\n- horizontal_flip\n")
    run(voc, tmp_path / "flip", recipe, picture=PictureFormat("png", subsampling="none"))
    for files in samples(tmp_path / "flip").values():
        record = json.loads(files["json"])
        source = cv2.imread(str(voc / "JPEGImages" / record["source"]["key"]))
        written = cv2.imdecode(np.frombuffer(files["png"], np.uint8), cv2.IMREAD_COLOR)
        assert (written == source[:, ::-1]).all()
        for obj in record["objects"]:
            label, *box = datasets.boxes_of(*source.shape[1::-1], int(record["source"]["key"][4:7]), 3)[obj["index"]]
            assert obj["category"] == datasets.NAMES[label]
            assert obj["box_xyxy"] == [source.shape[1] - box[2], box[1], source.shape[1] - box[0], box[3]]


# --- the same bytes --------------------------------------------------------------------------------------------------


def test_another_seed_gives_other_pictures(voc, finished, tmp_path):
    run(voc, tmp_path / "out", copies=3, seed=8)
    assert not set(hashes(tmp_path / "out").values()) & set(hashes(finished).values())


def test_copies_before_do_not_depend_on_how_many_follow(voc, finished, tmp_path):
    run(voc, tmp_path / "out", copies=1, seed=7)
    few, many = samples(tmp_path / "out"), samples(finished)
    assert few == {key: many[key] for key in few}


def test_a_step_that_is_inserted_leaves_the_other_draws_alone(voc, tmp_path):
    before = recipe_of("version: 1\nsteps:\n- affine: {rotate: 20}\n- gaussian_noise: {std: [1, 9]}\n")
    after = recipe_of(
        "version: 1\nsteps:\n- horizontal_flip: {p: 0.5}\n- affine: {rotate: 20}\n- gamma: {amount: [0.8, 1.2]}\n"
        "- gaussian_noise: {std: [1, 9]}\n"
    )
    run(voc, tmp_path / "a", before)
    run(voc, tmp_path / "b", after)
    a, b = records(tmp_path / "a"), records(tmp_path / "b")
    assert a.keys() == b.keys()
    for key in a:
        drawn = {d["name"]: d["parameters"] for d in b[key]["plan"]["drawn"]}
        assert {d["name"]: d["parameters"] for d in a[key]["plan"]["drawn"]}.items() <= drawn.items()


# --- going on, starting anew, refusing -------------------------------------------------------------------------------


def test_another_configuration_is_refused_with_what_differs(voc, finished):
    with pytest.raises(UsageError, match=r"seed: 7 → 9") as caught:
        run(voc, finished, copies=3, seed=9)
    assert "--overwrite" in str(caught.value)


def test_a_folder_that_is_no_run_is_refused(voc, tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="holds no run"):
            run(voc, tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_destination_in_the_source_is_refused(voc):
    for folder in (voc, voc / "out"):
        with pytest.raises(UsageError, match="lies in the source"):
            run(voc, folder)
    assert not (voc / "out").exists()


def test_a_refused_start_leaves_no_trace(voc, tmp_path):
    with pytest.raises(UsageError, match="copies"):
        run(voc, tmp_path / "out", copies=-1)
    with pytest.raises(UsageError, match="no such file"):
        run(tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(voc, tmp_path) -> Path:
    """The dataset with four kinds of damage."""
    folder = tmp_path / "broken"
    shutil.copytree(voc, folder)
    (folder / "JPEGImages" / "img_001.jpg").unlink()
    (folder / "JPEGImages" / "img_002.jpg").write_bytes(b"")
    data = (folder / "JPEGImages" / "img_003.jpg").read_bytes()
    (folder / "JPEGImages" / "img_003.jpg").write_bytes(data[: len(data) // 2])
    (folder / "Annotations" / "img_004.xml").write_text("<annotation>\n<object>\n</annotation>")
    return folder


def test_every_loss_is_a_row_and_the_rest_goes_on(broken, voc, finished, tmp_path):
    summary = run(broken, tmp_path / "out", copies=3, seed=7)
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    found = {row["source"]: (row["stage"], row["error"], row["copies"], row["transient"]) for row in rows}
    assert found == {
        "img_001.jpg": ("read", "missing-picture", [0, 1, 2], False),
        "img_002.jpg": ("decode", "empty-file", [0, 1, 2], False),
        "img_003.jpg": ("decode", "truncated", [0, 1, 2], False),
        "img_004.jpg": ("labels", "bad-xml", [0, 1, 2], False),
    }
    assert {row["source"]: row.get("line") for row in rows}["img_004.jpg"] == 3
    assert summary.written == 5 * 3
    assert summary.rejected == 4 * 3
    assert summary.rejected_pictures == 4
    assert check_folder(tmp_path / "out") == []
    # What is there is what an undisturbed run would have made.
    whole = samples(finished)
    assert all(whole[key] == files for key, files in samples(tmp_path / "out").items())
    text = (tmp_path / "out" / "rejects.jsonl").read_text()
    assert str(tmp_path) not in text


def test_a_reject_names_the_file_at_fault(broken, tmp_path):
    run(broken, tmp_path / "out", max_rejects="100%")
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    files = {row["error"]: row["file"] for row in rows}
    assert (files["truncated"], files["bad-xml"]) == ("JPEGImages/img_003.jpg", "Annotations/img_004.xml")


@pytest.mark.parametrize("limit", ["1%", "100%"])
def test_a_run_that_wrote_nothing_has_failed(voc, tmp_path, limit):
    folder = tmp_path / "set"
    shutil.copytree(voc, folder)
    (folder / "JPEGImages" / "img_000.jpg").write_bytes(b"")
    summary = run(folder, tmp_path / "out", limit=1, max_rejects=limit)
    assert summary.failed.startswith("nothing was written: the picture was rejected; see ")


def test_a_shard_of_which_all_is_lost_has_a_record_and_no_tar(voc, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(voc, folder)
    for path in (folder / "JPEGImages").iterdir():
        path.write_bytes(b"no picture")
    run(folder, tmp_path / "out", max_rejects="100%")
    assert not list((tmp_path / "out").glob("*.tar"))
    assert check_folder(tmp_path / "out") == []


# --- work that is not done -------------------------------------------------------------------------------------------


def test_a_picture_is_decoded_once_for_all_its_copies(voc, tmp_path, monkeypatch):
    decoded = []
    real = cpu.decode

    def counting(data, header, keep, share):
        decoded.append(len(data))
        return real(data, header, keep, share)

    monkeypatch.setattr(cpu, "decode", counting)
    run(voc, tmp_path / "out", copies=5)
    assert len(decoded) == 9


def test_flips_and_crops_cost_no_interpolation(voc, tmp_path, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("interpolated")

    monkeypatch.setattr(cv2, "remap", refuse)
    recipe = recipe_of(
        "version: 1\nsteps:\n- horizontal_flip: {p: 0.5}\n- rotate90: {times: [0, 1, 2, 3]}\n"
        "- random_crop: {size: [40, 30]}\n- pad: {size: 64}\n"
    )
    assert run(voc, tmp_path / "out", recipe, copies=4).rejected == 0
    turned = run(voc, tmp_path / "turned", recipe_of("version: 1\nsteps:\n- rotate: {degrees: [3, 4]}\n"), copies=4)
    assert turned.rejected == 4 * turned.pictures
    assert turned.written == 0


def test_keys_are_what_the_format_says():
    for source, slug in (("a/b.c.jpg", "b_c"), ("ä €.png", "___"), (f"{'x' * 80}.jpg", "x" * 60), ("plain", "plain")):
        digest = hashlib.blake2b(source.encode()).hexdigest()[:10]
        assert sample_key(source, 3) == f"{slug}-{digest}-c003"
        assert sample_key(source, -1) == f"{slug}-{digest}-orig"


def test_a_sample_can_be_made_again_from_its_record(finished, voc):
    """The plan is enough: decode the source, apply the steps, encode; the bytes are those in the shard."""
    from augpipe.core.plan import from_json
    from augpipe.pixels.codec.header import read_header
    from augpipe.pixels.codec.image import PictureFormat, decode, encode

    for files in list(samples(finished).values())[:6]:
        record = json.loads(files["json"])
        data = (voc / "JPEGImages" / record["source"]["key"]).read_bytes()
        plan = from_json(record["plan"])
        again = encode(cpu.apply(decode(data, read_header(data)), plan.steps), PictureFormat())
        assert again == files["jpg"]


def test_own_shards_are_a_source_again(finished, tmp_path):
    run(finished, tmp_path / "out", "gentle", copies=1)
    assert check_folder(tmp_path / "out") == []
    again, first = records(tmp_path / "out"), records(finished)
    assert sorted(r["source"]["key"] for r in again.values()) == sorted(first)


def test_tar_members_are_read_back_by_tarfile():
    data = {"a-0-c000.jpg": b"x" * 513, "a-0-c000.json": b"", "b" * 100: b"y" * 512}
    archive = b"".join(tar_member(name, content) for name, content in data.items()) + END
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert {m.name: opened.extractfile(m).read() for m in opened} == data
    for name, content in (("c" * 101, b""), ("ü", b""), ("", b"")):
        with pytest.raises((ValueError, UnicodeEncodeError)):
            tar_member(name, content)
