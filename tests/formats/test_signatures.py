"""Datasets of other tools are named, with a way out that works; those that are read are never taken for one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from annotated import EXAMPLES, files_of
from builders import keys, opened, read_all, said
from command_line import call
from places import DOCS

from augpipe.formats.registry import recognised
from augpipe.formats.signatures import SIGNATURES, signature_of

SUPERVISELY = {
    "classId": 1, "geometryType": "rectangle", "classTitle": "tree", "points": {"exterior": [[40, 30], [120, 90]]}
}  # fmt: skip
STUDIO = {
    "original_width": 320, "original_height": 240, "type": "rectanglelabels", "from_name": "label", "to_name": "image",
    "value": {"x": 12.5, "y": 12.5, "width": 25, "height": 25, "rectanglelabels": ["tree"]},
}  # fmt: skip
CREATEML = [
    {"image": "a.jpg", "annotations": [{"label": "tree", "coordinates": {"x": 80, "y": 60, "width": 80, "height": 60}}]}
]
BOX2D = {"category": "car", "box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
DARWIN = {"version": "2.0", "item": {"name": "a.jpg", "slots": []}, "annotations": [{"bounding_box": {}, "name": "x"}]}
OLD_DARWIN = {"dataset": "d", "image": {"filename": "a.jpg"}, "annotations": [{"bounding_box": {}, "name": "x"}]}
DATUMARO = {"info": {}, "categories": {"label": {"labels": []}}, "items": [{"id": "a", "annotations": []}]}
DATALOOP = {"filename": "/a.jpg", "annotations": [{"datasetId": "1", "type": "box", "coordinates": [{"x": 1}]}]}
SAGEMAKER = {"source-ref": "s3://b/a.jpg", "job": {"annotations": [{"left": 1}]}}
LABELBOX = {"data_row": {"id": "x"}, "projects": {"p": {"labels": []}}}
SCALE = [{"task_id": "x", "response": {"annotations": [{"left": 1, "top": 2, "width": 3, "height": 4}]}}]
VIA3 = {"project": {"vid_list": []}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}}

META = {"classes": [{"title": "t", "shape": "polygon"}]}
SOURCES = [
    ("Supervisely", {"meta.json": META, "ds0/ann/a.jpg.json": SUPERVISELY}),
    ("Supervisely", {"p/ds0/ann/a.jpg.json": SUPERVISELY}),
    ("Label Studio", {"project-1.json": [{"id": 1, "annotations": [{"result": [STUDIO]}], "data": {"image": "a"}}]}),
    ("Label Studio (JSON-MIN)", {"x.json": [{"image": "a", "label": [{"original_width": 1}], "annotation_id": 3}]}),
    ("Label Studio (CSV)", {"project-1.csv": "image,id,label,annotator,annotation_id\na.jpg,1,[],1,1\n"}),
    ("multi-label classification of Roboflow", {"train/_classes.csv": "filename, cat, dog\na.jpg, 1, 0\n"}),
    ("YOLO of Keras and Darknet in one file", {"train/_annotations.txt": "a.jpg 1,2,3,4,0\n"}),
    ("CreateML", {"train/_annotations.createml.json": CREATEML}),
    ("CrowdHuman (.odgt)", {"annotation_train.odgt": {"ID": "1,2", "gtboxes": []}}),
    ("BDD100K", {"labels/bdd100k_labels_images_val.json": [{"name": "a.jpg", "labels": [BOX2D]}]}),
    ("Cityscapes", {"gtFine/train/aachen/aachen_000000_000019_gtFine_polygons.json": {"objects": []}}),
    ("MOT (gt/gt.txt)", {"MOT17-02/gt/gt.txt": "1,1,41,31,80,60,1,1,1.0\n", "MOT17-02/seqinfo.ini": "[Sequence]\n"}),
    ("TFRecord", {"train.record-00000-of-00010": ""}),
    ("TFRecord", {"train/trees.tfrecord": "", "train/trees_label_map.pbtxt": ""}),
    ("WIDER FACE", {"wider_face_split/wider_face_train_bbx_gt.txt": ""}),
    ("Datumaro", {"annotations/train.json": DATUMARO}),
    ("Datumaro", {"annotations/train.json": {"dm_format_version": "1.0", "items": []}}),
    ("Darwin (V7)", {"a.json": DARWIN}),
    ("Darwin (V7)", {"a.json": OLD_DARWIN}),
    ("Dataloop", {"json/a.json": DATALOOP}),
    ("FiftyOne", {"samples.json": {"samples": [{"filepath": "data/a.jpg"}]}, "metadata.json": {}}),
    ("Scale", {"tasks.json": SCALE}),
    ("SageMaker Ground Truth", {"output.manifest": SAGEMAKER}),
    ("Labelbox", {"export.ndjson": LABELBOX}),
    ("VIA 3", {"via_project.json": VIA3}),
    ("VoTT", {"x.vott": {}, "0a1b-asset.json": {}}),
    ("VoTT", {"vott-json-export/x-export.json": {"visitedAssets": [], "assets": {}}}),
    ("a backup of CVAT", {"task.json": {"version": "1.0", "labels": []}, "annotations.json": []}),
    ("a JSONL of Roboflow", {"train/annotations.jsonl": {"image": "a.jpg", "prefix": "detect", "suffix": "x"}}),
    ("results of COCO", {"results.json": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]}),
    ("Parquet or Arrow of Hugging Face", {"data/train-00000-of-00001.parquet": ""}),
    ("validation pictures of ImageNet", {"ILSVRC2012_val_00000001.JPEG": ""}),
    ("MATLAB (.mat)", {"annotations/a.mat": ""}),
]


def made(folder: Path, files: dict[str, object]) -> Path:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in files.items()}
    return files_of(folder, texts, ["pictures/a.jpg"])


@pytest.mark.parametrize(("name", "files"), SOURCES, ids=[f"{k}-{name}" for k, (name, _) in enumerate(SOURCES)])
def test_it_is_named_with_a_way_out(name, files, tmp_path):
    source = made(tmp_path / "set", files)
    assert recognised(str(source)) == []
    way_out = next(signature.way_out for signature in SIGNATURES if signature.name == name)
    assert said(source) == f"{source}: looks like {name}, which is not read: {way_out}"
    result = call("inspect", source)
    assert (result.exit_code, f"looks like {name}" in " ".join(result.stderr.split())) == (2, True)


def test_every_signature_has_an_example_and_stands_in_the_docs():
    assert {name for name, _ in SOURCES} == {signature.name for signature in SIGNATURES}
    page = " ".join((DOCS / "reading.md").read_text("utf-8").split())
    for signature in SIGNATURES:
        assert f"| {signature.name} | " in page, signature.name


def test_a_file_that_is_named_itself_or_asked_for_by_format(tmp_path):
    source = made(tmp_path / "set", {"x.json": CREATEML}) / "x.json"
    assert "looks like CreateML" in said(source)
    assert said(source, format="coco").splitlines()[1].startswith("looks like CreateML, which is not read: ")


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_read_is_never_named(name, tmp_path):
    assert signature_of(EXAMPLES[name](tmp_path / name)) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_read_as_one_format_is_refused_as_each_other(name, tmp_path):
    source = EXAMPLES[name](tmp_path / name)
    for other in set(EXAMPLES) - {name}:
        assert said(source, format=other).endswith(f"\nit can be read as {name}")


def test_the_way_out_by_csv_works(tmp_path):
    source = files_of(tmp_path / "set", {}, ["a.jpg"])
    with open(source / "boxes.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "cx", "cy", "w", "h", "label"))
        for image in CREATEML:
            for one in image["annotations"]:
                place = one["coordinates"]
                rows.writerow((image["image"], *(place[k] for k in ("x", "y", "width", "height")), one["label"]))
    (found,) = read_all(opened(source))
    assert found.objects.boxes_xyxy.tolist() == [[40, 30, 120, 90]]


def test_darknet_of_roboflow_is_read_as_yolo(tmp_path):
    names, row = "tree\nhouse\n", "1 0.25 0.25 0.25 0.25\n"
    files = {f"{split}/_darknet.labels": names for split in ("train", "valid")}
    files |= {f"{split}/{split}.txt": row for split in ("train", "valid")}
    source = files_of(tmp_path / "set", files, ["train/train.jpg", "valid/valid.jpg"])
    assert recognised(str(source)) == ["yolo"]
    dataset = opened(source, split="valid")
    assert (keys(dataset), [c.name for c in dataset.categories]) == (["valid/valid.jpg"], ["tree", "house"])
    (found,) = read_all(dataset)
    assert found.objects.boxes_xyxy.tolist() == [[40, 30, 120, 90]]
    assert found.objects.category_id.tolist() == [2]
    (source / "valid" / "_darknet.labels").write_text("house\ntree\n")
    assert "lists other classes than" in said(source)


def test_the_value_of_a_name_in_a_far_folder_and_many_pictures(tmp_path):
    source = files_of(tmp_path / "set", {f"images/{k}/{i}.png": "" for k in range(3) for i in range(200)})
    files_of(source, {"z/deep/deeper/annotation_val.odgt": "{}"})
    assert "looks like CrowdHuman" in said(source)
