"""Pascal VOC: what an XML and its masks come to, against regular expressions, Pillow and pycocotools."""

from __future__ import annotations

import random
import re
import time

import numpy as np
import pytest
from builders import box_xml as box
from builders import boxes_by_regex, decode, object_xml, opened, read_all, rejected, voc_xml, write_mask
from builders import write_voc as tree
from real_sets import is_real, real

from augpipe.core.annotations import ObjectPart
from augpipe.core.errors import Reject
from augpipe.formats.voc.masks import palette, read_labelmap
from augpipe.formats.voc.read import VocReader
from augpipe.formats.voc.xml_reader import parse_xml

READER = VocReader({"cat": 1, "dog": 2})


def parse(*objects: str, **options: object):
    return READER.parse(voc_xml(*objects, **options).encode(), "a.xml")


def boxes(*objects: str) -> list[list[float]]:
    return parse(*objects).objects.boxes_xyxy.tolist()


# --- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ((1, 1, 10, 8), [0, 0, 10, 8]),
        ((7, 3, 7, 3), [6, 2, 7, 3]),
        (("1.5", "2.25", "9.75", "8"), [0.5, 1.25, 9.75, 8]),
        (("  4 ", "\n5\n", "6", "7"), [3, 4, 6, 7]),
        ((0, 0, 20, 10), [-1, -1, 20, 10]),
        (("1e1", "+2", "12", "3"), [9, 1, 12, 3]),
    ],
    ids=["ten pixels", "one pixel", "floats", "spaces", "zero", "exponent"],
)
def test_a_box_counts_from_one_and_includes_the_last_pixel(written, expected):
    assert boxes(object_xml(box=written)) == [expected]


def test_children_of_a_box_in_any_order():
    shuffled = (
        "<object><bndbox><ymax>8</ymax><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax></bndbox><name>cat</name></object>"
    )
    assert boxes(shuffled) == [[1, 2, 9, 8]]


def test_swapped_corners_are_put_in_order_and_noted():
    labels = parse(object_xml(box=(9, 3, 2, 8)), object_xml(box=(1, 8, 4, 2)))
    assert labels.objects.boxes_xyxy.tolist() == [[1, 2, 9, 8], [0, 1, 4, 8]]
    assert labels.notes == ("corners-swapped",)
    assert parse(object_xml()).notes == ()


@pytest.mark.parametrize("bad", ["NaN", "nan", "inf", "-Infinity", "", "x", "1,5", "1_0", "0x10", "1e400"])
@pytest.mark.parametrize("corner", range(4))
def test_a_box_without_numbers_is_dropped(bad, corner):
    written = [1, 1, 10, 8]
    written[corner] = bad
    labels = parse(object_xml("dog", written), object_xml())
    assert [(d.index, d.category_id, d.reason) for d in labels.dropped] == [(0, 2, "degenerate")]
    assert labels.objects.index.tolist() == [1]


def test_an_object_without_a_box_is_dropped():
    assert [d.reason for d in parse("<object><name>cat</name></object>").dropped] == ["degenerate"]


def test_boxes_that_count_from_zero():
    reader = VocReader({"cat": 1}, origin=0)
    labels = reader.parse(voc_xml(object_xml(box=(0, 0, 9, 7)), object_xml(box=(3, 3, 3, 3))).encode(), "a.xml")
    assert labels.objects.boxes_xyxy.tolist() == [[0, 0, 10, 8], [3, 3, 4, 4]]


def test_random_boxes_agree_with_regular_expressions():
    rng = random.Random(3)
    for _ in range(50):
        parts = []
        for _ in range(rng.randint(0, 6)):
            x, y = rng.randint(1, 500), rng.randint(1, 500)
            corners = [("xmin", x), ("ymin", y), ("xmax", x + rng.randint(0, 90)), ("ymax", y + rng.randint(0, 9))]
            rng.shuffle(corners)
            inner = "".join(f"<{k}>{v}</{k}>" for k, v in corners)
            fields = [f"<bndbox>{inner}</bndbox>", f"<name> {rng.choice(['cat', 'dog'])} </name>", "<pose>Left</pose>"]
            rng.shuffle(fields)
            parts.append(f"<object>{''.join(fields)}</object>")
        text = voc_xml(*parts)
        objects = READER.parse(text.encode(), "a.xml").objects
        names = [{1: "cat", 2: "dog"}[c] for c in objects.category_id.tolist()]
        assert [(n, tuple(b)) for n, b in zip(names, objects.boxes_xyxy.tolist(), strict=True)] == boxes_by_regex(text)


@pytest.mark.parametrize("name", ["raccoon", "bccd/BCCD"])
def test_real_boxes_agree_with_regular_expressions(name):
    place = real(name)
    source = opened(place)
    names = {c.id: c.name for c in source.categories}
    seen = 0
    for entry in source.entries:
        objects = source.reader.annotations(entry).objects
        found = [(names[c], tuple(b)) for c, b in
                 zip(objects.category_id.tolist(), objects.boxes_xyxy.tolist(), strict=True)]  # fmt: skip
        with open(entry.annotation.xml.path, encoding="utf-8") as file:
            assert found == boxes_by_regex(file.read()), entry.key
        seen += len(found)
    assert not is_real(place) or seen == {"raccoon": 217, "bccd/BCCD": 4888}[name]
    assert seen


# --- what else an object says ----------------------------------------------------------------------------------------


def test_missing_fields_are_not_known():
    labels = parse(object_xml(), size=None)
    fact = labels.objects.facts[0]
    assert (fact.id, fact.truncated, fact.difficult, fact.occluded, fact.pose) == (None,) * 5
    assert labels.size_wh is None
    assert fact.attributes == {}


@pytest.mark.parametrize("size", [(0, 0), (-3, 4), ("NaN", 5), ("wide", 5), ("", 5)])
def test_a_size_that_is_none_is_not_known(size):
    assert parse(object_xml(), size=size).size_wh is None


def test_flags_as_tools_write_them():
    written = {"0": 0, "1": 1, "1.0": 1, "0.3": 1, "true": 1, "False": 0, "yes": 1, "NO": 0, "-1": 1}
    for text, expected in written.items():
        fact = parse(object_xml(more=f"<truncated>{text}</truncated>")).objects.facts[0]
        assert fact.truncated == expected, text
        assert fact.attributes == {}
    odd = parse(object_xml(more="<truncated>perhaps</truncated>")).objects.facts[0]
    assert (odd.truncated, odd.attributes) == (None, {"truncated": "perhaps"})


def test_free_fields_travel_untouched():
    more = "<pose>Left</pose><actions><jumping>1</jumping><other>0</other></actions><tag>a</tag><tag>b</tag><x/>"
    fact = parse(object_xml(more=more)).objects.facts[0]
    assert fact.pose == "Left"
    assert fact.attributes == {"actions": {"jumping": "1", "other": "0"}, "tag": ["a", "b"]}
    labels = parse(filename="a.jpg", more="<folder>f</folder><path>/home/me/a.jpg</path><source><x>1</x></source>")
    assert labels.attributes == {"folder": "f", "source": {"x": "1"}}


def test_parts_are_boxes_of_their_own():
    more = f"<part><name>head</name>{box(3, 4, 5, 6)}</part><part><name>hand</name></part>"
    labels = parse(object_xml(more=more))
    assert labels.objects.parts == ((ObjectPart("head", (2, 3, 5, 6)),),)
    assert labels.notes == ("part-left-out",)
    assert parse(object_xml(more=f"<part><name>head</name>{box(3, 4, 5, 6)}</part>")).notes == ()


def test_an_unknown_class_rejects_the_picture():
    with pytest.raises(Reject, match="class 'cow' is not known") as caught:
        parse(object_xml("cow"))
    assert (caught.value.stage, caught.value.code, caught.value.file) == ("labels", "unknown-class", "a.xml")


@pytest.mark.parametrize("name", ["", "<name></name>", "<name>  </name>"])
def test_an_object_without_a_name_rejects_the_picture(name):
    with pytest.raises(Reject, match=r"a.xml: object 2 has no <name>") as caught:
        parse(object_xml(), f"<object>{name}{box(1, 1, 2, 2)}</object>")
    assert caught.value.code == "bad-xml"


# --- XML that is none ------------------------------------------------------------------------------------------------

WHOLE = voc_xml(object_xml())


@pytest.mark.parametrize(
    ("xml", "code", "line"),
    [
        (b"", "bad-xml", 1),
        (b"\0\0\0\0", "bad-xml", 1),
        (b"hello", "bad-xml", 1),
        (b"<annotation>\n<object>\n</annotation>", "bad-xml", 3),
        (WHOLE[:-8].encode(), "bad-xml", 1),
        (b"<annotations/>", "bad-xml", 1),
        (b'<annotation xmlns="u"/>', "bad-xml", 1),
        (b"<annotation>&nbsp;</annotation>", "bad-xml", 1),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "bad-xml", None),
        ('<?xml version="1.0" encoding="gbk"?><annotation>中</annotation>'.encode("gbk"), "bad-xml", None),
        (b'<?xml version="1.0" encoding="rot13"?><annotation/>', "bad-xml", None),
        (b"<annotation>" + b"<x>" * 70 + b"</x>" * 70 + b"</annotation>", "bad-xml", None),
        (b"<annotation>" + b"<x>" * 50_000 + b"</x>" * 50_000 + b"</annotation>", "bad-xml", None),
        (b'<!DOCTYPE a [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>', "entity", None),
        (b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>', "entity", None),
        (b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><annotation/>', "entity", None),
        (b'<!DOCTYPE a SYSTEM "x.dtd"><annotation>&foo;</annotation>', "bad-xml", 1),
    ],
    ids=["empty", "zeros", "text", "unclosed", "cut", "root", "namespace", "undefined", "encoding", "gbk", "codec",
         "deep", "very deep", "bomb", "external", "parameter", "dtd"],
)  # fmt: skip
def test_broken_xml_is_a_reject(xml, code, line):
    with pytest.raises(Reject) as caught:
        READER.parse(xml, "Annotations/a.xml")
    reject = caught.value
    assert (reject.stage, reject.code, reject.line, reject.file) == ("labels", code, line, "Annotations/a.xml")
    assert reject.message.startswith("Annotations/a.xml")
    assert "passwd" not in reject.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "utf-8"])
def test_xml_in_other_encodings(encoding):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?>' + voc_xml(object_xml(more="<note>é</note>"))
    labels = READER.parse(text.encode(encoding), "a.xml")
    assert labels.objects.facts[0].attributes == {"note": "é"}


def test_nesting_that_real_files_have_is_read():
    inside = "<a>" * 20 + "1" + "</a>" * 20
    assert parse(object_xml(), more=inside).attributes["a"]


# --- masks -----------------------------------------------------------------------------------------------------------


def instance_values() -> np.ndarray:
    values = np.zeros((10, 20), np.uint8)
    values[1:4, 2:9] = 1
    values[3:9, 12:18] = 2
    values[4, 2:9] = 255
    values[2, 4] = 0
    return values


def segmented(tmp_path, mode="P", palette=None):
    root = tree(tmp_path / "set", {"a": voc_xml(object_xml("cat", (3, 2, 9, 4)), object_xml("dog", (13, 4, 18, 9)))})
    instance = instance_values()
    semantic = np.select([instance == 1, instance == 2, instance == 255], [8, 12, 255], 0)
    if mode == "RGB":
        write_mask(root / "SegmentationObject" / "a.png", colors()[instance], "RGB")
        write_mask(root / "SegmentationClass" / "a.png", colors()[semantic], "RGB")
    else:
        write_mask(root / "SegmentationObject" / "a.png", instance, mode, palette)
        write_mask(root / "SegmentationClass" / "a.png", semantic, mode, palette)
    return root, instance, semantic


def colors() -> np.ndarray:
    """VOC's palette as the devkit's MATLAB has it: bit 7 − j of a channel is bit 3·j + channel of the index."""
    out = np.zeros((256, 3), np.uint8)
    for index in range(256):
        for channel in range(3):
            out[index, channel] = sum(((index >> (3 * j + channel)) & 1) << (7 - j) for j in range(3))
    return out


def test_the_palette():
    assert palette() == [tuple(c) for c in colors().tolist()]
    assert palette()[:5] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert palette()[255] == (224, 224, 192)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_masks_are_indexes_whatever_their_colors(tmp_path, mode):
    root, instance, semantic = segmented(tmp_path, mode)
    (labels,) = read_all(opened(root))
    assert np.array_equal(labels.semantic, semantic)
    assert np.array_equal(labels.instance, instance)
    assert labels.objects.instance.tolist() == [1, 2]
    for number, segmentation in enumerate(labels.objects.segmentation, start=1):
        assert np.array_equal(decode(segmentation), instance == number)


def test_a_color_that_is_no_class_rejects_the_picture(tmp_path):
    root, _, semantic = segmented(tmp_path)
    picture = colors()[semantic]
    picture[0, 0] = (1, 2, 3)
    write_mask(root / "SegmentationClass" / "a.png", picture, "RGB")
    reject = rejected(opened(root))
    assert (reject.code, reject.message) == (
        "bad-mask",
        "SegmentationClass/a.png: the mask has the color (1, 2, 3), which is no class",
    )


def test_colors_of_a_labelmap_belong_to_classes_and_not_to_instances(tmp_path):
    root, instance, _ = segmented(tmp_path)
    (root / "labelmap.txt").write_text("# label:color_rgb\nbackground:0,0,0::\ncat:10,20,30::\ndog:200,0,7::\n")
    table = np.zeros((256, 3), np.uint8)
    table[1], table[2] = (10, 20, 30), (200, 0, 7)
    semantic = np.minimum(instance, 2) * (instance != 255)
    write_mask(root / "SegmentationClass" / "a.png", table[semantic], "RGB")
    write_mask(root / "SegmentationObject" / "a.png", colors()[instance], "RGB")
    source = opened(root)
    (labels,) = read_all(source)
    assert [(c.id, c.name) for c in source.categories] == [(1, "cat"), (2, "dog")]
    assert np.array_equal(labels.semantic, semantic)
    assert np.array_equal(labels.instance, instance)


def test_a_box_that_says_nothing_is_taken_from_the_mask(tmp_path):
    root, _, _ = segmented(tmp_path)
    path = root / "Annotations" / "a.xml"
    path.write_text(re.sub("<xmin>3</xmin>", "<xmin>NaN</xmin>", path.read_text()))
    (labels,) = read_all(opened(root))
    assert labels.objects.boxes_xyxy.tolist() == [[2, 1, 9, 4], [12, 3, 18, 9]]
    assert labels.notes == ("box-remade",)
    assert labels.dropped == ()


def test_masks_without_xml_are_labels_too(tmp_path):
    root, _, semantic = segmented(tmp_path)
    (root / "Annotations" / "a.xml").unlink()
    (labels,) = read_all(opened(root))
    assert np.array_equal(labels.semantic, semantic)
    assert (len(labels.objects), labels.size_wh) == (0, (20, 10))


def test_a_broken_mask_rejects_its_picture_by_its_own_name(tmp_path):
    root, _, _ = segmented(tmp_path)
    (root / "SegmentationObject" / "a.png").write_bytes(b"no picture")
    reject = rejected(opened(root))
    assert reject.code == "bad-mask"
    assert reject.message.startswith("SegmentationObject/a.png: not a mask")
    assert str(tmp_path) not in reject.message


def test_labelmaps():
    lines = b"background:0,0,0::\ncat:1,2,3:head,tail:run\r\ndog:\nowl:x,y,z::"
    names, packed = read_labelmap(b"\xef\xbb\xbf# label:color_rgb:parts:actions\n\n" + lines)
    assert names == ["background", "cat", "dog", "owl"]
    standard = colors()
    expected = [(0, 0, 0), (1, 2, 3), tuple(standard[2]), tuple(standard[3])]
    assert packed == {int(r) + 256 * int(g) + 65536 * int(b): i for i, (r, g, b) in enumerate(expected)}


def test_a_field_that_comes_often_is_a_list_and_takes_no_longer():
    started = time.process_time()
    found = VocReader({"cat": 1}).parse(voc_xml(object_xml(more="<d>1</d>" * 100_000)).encode(), "a.xml")
    assert found.objects.facts[0].attributes == {"d": ["1"] * 100_000}
    assert time.process_time() - started < 20  # it took the square of their number


def test_labels_out_of_all_proportion_are_refused():
    for xml in ("<d/>" * 600_000, "<d " + " ".join(f'a{i}=""' for i in range(600_000)) + "/>", "x" * (1 << 25)):
        with pytest.raises(Reject) as caught:
            parse_xml(voc_xml(more=xml).encode(), "a.xml")
        assert caught.value.code == "too-large"
