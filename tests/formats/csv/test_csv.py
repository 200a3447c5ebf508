"""CSVs of boxes: the columns of many tools, Open Images, tables without a header, splits, and rows that are none."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
from annotated import SIZE, check_commands, coco_rows, files_of, make_csv
from builders import keys, opened, read_all, rejected, said

from augpipe.formats.base import read_picture
from augpipe.formats.csv.columns import columns_of
from augpipe.formats.registry import recognised

TREE = [40, 30, 120, 90]  # in corners


def boxes(folder: Path, header: str, *rows: str, name: str = "boxes.csv", pictures: tuple[str, ...] = ("a.jpg",)):
    source = files_of(folder / "set", {name: "\n".join([header, *rows]) + "\n"}, pictures)
    dataset = opened(source)
    return dataset, dataset.reader.annotations(dataset.entries[0])


def test_every_command_takes_it(tmp_path):
    source = make_csv(tmp_path / "set")
    check_commands(source, "csv", tmp_path)
    assert coco_rows(source, tmp_path / "again") == {"images/a.jpg": [("tree", [40, 30, 80, 60], 0)]}
    assert recognised(str(source / "train.csv")) == ["csv"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image_id,x,y,w,h,label", "a.jpg,40,30,80,60,tree"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.jpg,320,240,tree,40,30,120,90"),  # Roboflow, TensorFlow
        ('"image","xmin","ymin","xmax","ymax","label"', '"a.jpg",40.0,30.0,120.0,90.0,"tree"'),  # VoTT
        ("image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max", "a,tree,3,R11,40,30,120,90"),  # VinBigData
        ("Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassName", "a.jpg;320;240;40;30;120;90;tree"),  # GTSRB
        ("image_name,bbox_x,bbox_y,bbox_width,bbox_height,label_name", "a.jpg,40,30,80,60,tree"),  # makesense
        ("path\tx1\ty1\tx2\ty2\tcategory", "C:\\data\\a.jpg\t40\t30\t120\t90\ttree"),
        ("img_path,x_center,y_center,width,height,label", "a.jpg,80,60,80,60,tree"),
        ("image_id,width,height,bbox,label", 'a,320,240,"[40.0, 30.0, 80.0, 60.0]",tree'),  # Global Wheat
        ("file,left,top,right,bottom,name", "./a.jpg,40,30,120,90,tree"),
        ("Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y",
         "a.jpg;tree;40;30;120;90"),  # LISA
        (",image,x,y,w,h,label", '0,a.jpg,"4e1",30,80,60,"tree"'),
        ("image;x;y;w;h;label", "a.jpg;40,0;30,0;80,0;60,0;tree"),  # a decimal comma
    ],
)  # fmt: skip
def test_columns_of_many_tools(header, row, tmp_path):
    dataset, found = boxes(tmp_path, header, row)
    assert found.objects.boxes_xyxy.tolist() == [TREE]
    assert [c.name for c in dataset.categories] == ["tree"]
    assert (found.notes, found.dropped) == ((), ())


def test_open_images(tmp_path):
    header = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
    )
    row = "b,xclick,/m/1,1,0.125,0.375,0.125,0.375,1,0,1,-1,0"
    files = {
        "train-annotations-bbox.csv": f"{header}\n{row}\nb,xclick,/m/2,1,0,1,0,1,-1,-1,0,0,0\n",
        "validation-annotations-bbox.csv": f"{header}\n{row.replace('b,', 'c,', 1).replace('/m/1', '/m/3')}\n",
        "class-descriptions-boxable.csv": "/m/1,Person\n/m/2,Tree\n/m/3,Cat\n",
    }
    source = files_of(tmp_path / "set", files, ["train/b.jpg", "validation/c.jpg"])
    assert list(opened(source).splits) == ["train", "val"]
    dataset = opened(source, split="train")
    assert [c.name for c in dataset.categories] == ["Cat", "Person", "Tree"]
    assert keys(dataset) == ["train/b.jpg"]
    assert dataset.remarks == ()
    found = dataset.reader.annotations(dataset.entries[0])
    assert found.objects.boxes_xyxy.tolist() == [TREE, [0, 0, *SIZE]]
    assert found.objects.category_id.tolist() == [2, 3]
    assert found.objects.iscrowd.tolist() == [1, 0]
    first, second = found.objects.facts
    assert (first.occluded, first.truncated, second.occluded, second.truncated) == (1, 0, None, None)
    assert first.attributes == {"Source": "xclick", "Confidence": 1, "IsDepiction": -1, "IsInside": 0}


def test_open_images_as_fiftyone_keeps_it(tmp_path):
    row = "ImageID,LabelName,XMin,XMax,YMin,YMax\nb,/m/1,0.125,0.375,0.125,0.375\n"
    files = {"train/labels/detections.csv": row, "train/metadata/classes.csv": "/m/1,Person\n"}
    dataset = opened(files_of(tmp_path / "set", files, ["train/data/b.jpg"]))
    assert (keys(dataset), [c.name for c in dataset.categories]) == (["train/data/b.jpg"], ["Person"])
    assert read_all(dataset)[0].objects.boxes_xyxy.tolist() == [TREE]


def test_numbers_from_0_to_1_are_parts_of_the_sides(tmp_path):
    dataset, found = boxes(tmp_path, "image,x1,y1,x2,y2,label", "a.jpg,0.125,0.125,0.375,0.375,tree")
    assert found.objects.boxes_xyxy.tolist() == [TREE]
    assert dataset.remarks == (
        "boxes.csv: all numbers are from 0 to 1, so they are taken for parts of the picture's sides",
    )
    (tmp_path / "set" / "boxes.csv").write_text("image,x1,y1,x2,y2,label\na.jpg,0,0,1,1,tree\n")
    assert read_all(opened(tmp_path / "set"))[0].objects.boxes_xyxy.tolist() == [[0, 0, 1, 1]]  # one pixel


def test_a_table_without_a_header_is_retinanets_or_refused(tmp_path):
    text = "set/a.jpg,40,30,120,90,tree\nset/b.jpg,,,,,\n"
    source = files_of(tmp_path / "set", {"train.csv": text}, ["a.jpg", "b.jpg"])
    dataset = opened(source)
    first, second = read_all(dataset)
    assert (first.objects.boxes_xyxy.tolist(), len(second.objects)) == ([TREE], 0)
    assert dataset.remarks == (
        "train.csv: has no header; the columns are taken for picture,x1,y1,x2,y2,class, as in RetinaNet",
        "1 row without a box: their pictures are read without objects",
    )
    (source / "train.csv").write_text("a.jpg,10,10,50,50,tree\na.jpg,240,130,80,60,tree\n")
    assert said(source) == (
        "train.csv:2: has no header, and is no x1,y1,x2,y2; put a line with names of the columns first, "
        "such as image,x,y,w,h,label"
    )
    (source / "train.csv").write_text("a.jpg,40,30,120,90,tree,320,240\n")  # SKU-110K
    assert read_all(opened(source))[0].size_wh == SIZE


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "image,label\na.jpg,tree\n", "", "\n\n", "a.jpg,1,2,3\n", "\0,\0", '"'])
def test_a_csv_of_something_else_is_none(text, tmp_path):
    source = files_of(tmp_path / "set", {"x.csv": text}, ["a.jpg"])
    assert recognised(str(source)) == []
    assert "no CSV of boxes; expected a header such as" in said(source, format="csv")


def test_splits_and_other_tables(tmp_path):
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    row = "{}.jpg,320,240,{},40,30,120,90\n"
    files = {f"{s}/_annotations.csv": header + row.format("a", c) for s, c in (("train", "x"), ("valid", "y"))}
    source = files_of(tmp_path / "set", files | {"train/sizes.csv": "a,b\n"}, ["train/a.jpg", "valid/a.jpg"])
    assert list(opened(source).splits) == ["train", "val"]
    dataset = opened(source, split="valid")
    assert (keys(dataset), [c.name for c in dataset.categories]) == (["valid/a.jpg"], ["x", "y"])
    assert dataset.remarks == ("left out: 1 CSV without columns of a picture and a box, as train/sizes.csv",)
    files = {f"data/{s}_labels.csv": header + row.format(s, "x") for s in ("train", "test")}
    other = files_of(tmp_path / "other", files, ["images/train.jpg", "images/test.jpg", "images/no.jpg"])
    assert keys(opened(other, split="test")) == ["images/test.jpg"]
    files = {name: header + row.format("a", "x") for name in ("one.csv", "two.csv")}
    assert "several splits, one, two" in said(files_of(tmp_path / "more", files, ["a.jpg"]))


def test_rows_that_are_none(tmp_path):
    rows = (
        "a.jpg,40,30,80,60,tree",
        "a.jpg,x,30,80,60,tree",
        "a.jpg,40,30,80",
        "a.jpg,40,30,0,60,tree",
        "a.jpg,40,30,-5,60,tree",
        "a.jpg,nan,30,80,60,tree",
        "a.jpg,inf,30,80,60,tree",
        "a.jpg,1e9,30,80,60,tree",
        "a.jpg,1_0,30,80,60,tree",
        "",
    )
    dataset, found = boxes(tmp_path, "image,x,y,w,h,label", *rows)
    assert found.objects.boxes_xyxy.tolist() == [TREE]
    assert [d.index for d in found.dropped] == [1, 3, 4, 5, 6, 7, 8]
    assert found.notes == ("row-not-numbers", "row-of-other-length")
    assert dataset.remarks == ("left out: 1 row of another number of fields than the header, as boxes.csv:4",)


def test_a_table_without_classes_and_a_class_that_came_later(tmp_path):
    dataset, _ = boxes(tmp_path, "image,x,y,w,h", "a.jpg,40,30,80,60")
    assert [c.name for c in dataset.categories] == ["object"]
    assert "boxes.csv: has no column of classes; all objects are of the class 'object'" in dataset.remarks
    dataset, _ = boxes(tmp_path / "2", "image,x,y,w,h,label", "a.jpg,40,30,80,60,tree")
    (tmp_path / "2" / "set" / "boxes.csv").write_text("image,x,y,w,h,label\na.jpg,40,30,80,60,bush\n")
    assert rejected(dataset).code == "unknown-class"
    (tmp_path / "2" / "set" / "boxes.csv").write_text('image,x,y,w,h,label\na.jpg,40,30,80,60,"ree\n')
    assert rejected(dataset).code == "bad-csv"


def test_classes_that_are_numbers_stand_in_their_order(tmp_path):
    dataset, _ = boxes(tmp_path, "image,x,y,w,h,class_id", *(f"a.jpg,1,1,2,2,{n}" for n in (10, 2, 1)))
    assert [c.name for c in dataset.categories] == ["1", "2", "10"]


def test_marks_line_ends_and_quotes(tmp_path):
    text = 'image,x,y,w,h,label,note\r\n"a, b.jpg",40,30,80,60,"oak, tree","two\r\nlines"\r\n'
    source = files_of(tmp_path / "set", {"x.csv": b"\xef\xbb\xbf" + text.encode()}, ["a, b.jpg"])
    (found,) = read_all(opened(source))
    assert found.objects.boxes_xyxy.tolist() == [TREE]
    assert found.objects.facts[0].attributes == {"note": "two\r\nlines"}
    assert [c.name for c in opened(source).categories] == ["oak, tree"]


@pytest.mark.parametrize(
    ("row", "line"),
    [('a.jpg,1,2,3,4,"tree', 2), ('"a.jpg,1,2,3,4,tree\n"a.jpg,1,2,3,4,tree', 2), ('a.jpg,1,2,3,4,"tree" x', 2)],
)
def test_a_quote_that_is_not_closed_is_an_error_that_names_the_line(row, line, tmp_path):
    source = files_of(tmp_path / "set", {"x.csv": f"image,x,y,w,h,label\n{row}\na.jpg,1,2,3,4,bush\n"}, ["a.jpg"])
    assert said(source).startswith(f"x.csv:{line}: ")


def test_pictures_missing_elsewhere_and_of_one_name(tmp_path):
    text = "image,x,y,w,h,label\nx/a.jpg,40,30,80,60,tree\ny/a.jpg,1,1,2,2,tree\nq/a.jpg,1,1,2,2,tree\n"
    source = files_of(tmp_path / "set", {"x.csv": text}, ["x/a.jpg", "images/y/a.jpg", "no.jpg"])
    dataset = opened(source)
    assert keys(dataset) == ["images/y/a.jpg", "q/a.jpg", "x/a.jpg"]
    assert [entry.picture is None for entry in dataset.entries] == [False, True, False]
    assert "left out: 1 picture without a row" in dataset.remarks
    apart = files_of(tmp_path / "apart", {}, ["q/a.jpg"])
    assert read_picture(opened(source / "x.csv", images=apart).entries[0]) == (apart / "q/a.jpg").read_bytes()


def test_pictures_beside_the_folder_of_the_table(tmp_path):
    table = {"data/boxes.csv": "image,x,y,w,h,label\na.jpg,40,30,80,60,tree\n"}
    source = files_of(tmp_path / "set", table, ["images/a.jpg"])
    assert read_picture(opened(source / "data" / "boxes.csv").entries[0]) == (source / "images/a.jpg").read_bytes()
    assert "no such folder (--images)" in said(source, images=tmp_path / "no")


def test_rows_of_a_picture_in_any_order_and_the_index_is_small(tmp_path):
    rows = [f"{name}.jpg,{i},1,2,2,tree" for i in range(500) for name in "ab"]
    source = files_of(tmp_path / "set", {"x.csv": "image,x,y,w,h,label\n" + "\n".join(rows) + "\n"}, ["a.jpg", "b.jpg"])
    assert [labels.objects.boxes_xyxy[:, 0].tolist() for labels in read_all(opened(source))] == [[*range(500)]] * 2
    (source / "x.csv").write_text("image,x,y,w,h,label\n" + "\n".join(sorted(rows)) + "\n")
    dataset = opened(source)
    assert len(dataset.entries[0].annotation) == 24  # five hundred rows that stand together are one range
    assert len(pickle.dumps(dataset.reader)) < 2000


def test_no_name_of_a_column_means_two_things():
    from augpipe.formats.csv.columns import CLASS, FOURS, LISTS, PICTURE

    numbers = {name for _, four in FOURS for name in four} | set(LISTS)
    assert numbers.isdisjoint(PICTURE)
    assert numbers.isdisjoint(CLASS)
    assert set(PICTURE).isdisjoint(CLASS)
    for form, four in FOURS:
        found = columns_of(["image", *four, "label"], ",")
        assert (found.form, found.numbers, found.label) == (form, (1, 2, 3, 4), 5)


def test_a_line_beyond_measure_is_an_error(tmp_path):
    text = io.StringIO()
    text.write("image,x,y,w,h,label\na.jpg,1,2,3,4,")
    text.write("x" * (1 << 20))
    source = files_of(tmp_path / "set", {"x.csv": text.getvalue()}, ["a.jpg"])
    assert said(source).startswith("x.csv")
