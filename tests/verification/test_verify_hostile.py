"""Folders made to do harm: verify ends with findings or one line, without a traceback, soon and in little memory."""

from __future__ import annotations

import io
import json
import shutil
import struct
import time
import zlib
from pathlib import Path

import pytest
from command_line import call
from forge import Samples, forged, resign
from pairing import some_pairs
from runs import recipe_of, run
from verifying import first, is_mask, is_polygon, problems, verified

from augpipe.core.errors import DatasetError
from augpipe.formats.webdataset import safe_parse
from augpipe.verification.safe_pictures import bitmap_of_code

RECIPE = """
version: 1
steps:
- affine: {rotate: [-25, 25], scale: [0.6, 0.8]}
- pad: {sides: 3}
- gaussian_blur: {sigma: 0.5}
- erase
- gamma: {amount: 1.2}
- gaussian_noise: {std: 3}
- jpeg: {quality: 80}
"""


@pytest.fixture(scope="module")
def finished(coco, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "out"
    run(coco, out, recipe_of(RECIPE), copies=1, seed=2, limit=1)
    return out


def test_nothing_is_off_before_anything_is_changed(finished, coco):
    """Else the changes below could be told by a finding that has nothing to do with them."""
    assert problems(verified(finished, coco)) == []


def record_of(samples: Samples):
    return next(record for record, _ in samples.values() if record["objects"])


def set_in(path: str, value):
    """A change that sets ``objects.0.box_xyxy.1`` and the like in the first record."""

    def change(samples):
        *names, last = path.split(".")
        at = record_of(samples)
        for name in names:
            at = at[int(name) if isinstance(at, list) else name]
        at[int(last) if isinstance(at, list) else last] = value

    return change


def set_step(kind: str, name: str, value):
    def change(samples):
        for record, _ in samples.values():
            for step in record["plan"]["steps"]:
                if step["kind"] == kind:
                    step[name] = value

    return change


def in_shape(has, value):
    def change(samples):
        first(samples, has)[1]["segmentation"] = value

    return change


def in_code(name, value):
    def change(samples):
        first(samples, is_mask)[1]["segmentation"][name] = value

    return change


NUMBERS = [float("nan"), float("inf"), -1e300, 10**400, "x", None, [], {}, True]
FIELDS = [
    "objects.0.box_xyxy.0",
    "objects.0.area",
    "objects.0.visible",
    "objects.0.index",
    "objects.0.category_id",
    "width",
    "copy",
    "source.width",
    "plan.seed",
    "plan.steps.0.matrix.4",
    "plan.steps.0.size_wh.0",
]
PLACES = ("objects", "dropped", "objects.0", "source", "plan", "plan.steps", "plan.steps.0", "source.key")
CHANGES = [
    *(
        pytest.param(set_in(field, value), id=f"{field}={str(value)[:8]}")
        for field, value in some_pairs(FIELDS, NUMBERS, 3)
    ),
    *(
        pytest.param(set_in(field, value), id=f"{field}={value!r:.12}")
        for field, value in some_pairs(PLACES, (3, None, [], [3], {}, "x", {"kind": "fly"}), 3)
        if (field, value) != ("dropped", [])  # as it is
    ),
    pytest.param(set_in("objects.0.keypoints", [float("nan")] * 12), id="keypoints"),
    pytest.param(set_in("objects.0.keypoints", [1, 2]), id="two numbers"),
    pytest.param(set_in("objects.0.obb", [[1e300, 0]] * 4), id="obb"),
    pytest.param(set_in("objects.0.parts", [3]), id="parts"),
    pytest.param(set_in("segments_info", [{"id": "x"}]), id="segments"),
    pytest.param(in_code("size", [10**9, 10**9]), id="size"),
    pytest.param(in_code("size", [-1, -1]), id="negative size"),
    pytest.param(in_code("counts", "~~~~~~~~"), id="no code"),
    pytest.param(in_code("counts", "oooooooooooo1"), id="long code"),
    pytest.param(in_code("counts", [1, 2]), id="a list"),
    pytest.param(in_code("counts", ""), id="empty"),
    pytest.param(in_shape(is_polygon, [[1e300, 0, 0, 1e300, 5, 5]]), id="far polygon"),
    pytest.param(in_shape(is_polygon, [[1, 1, 9, 9, 1, 9]] * 100_000), id="many rings"),
    pytest.param(in_shape(is_polygon, [[1, 1, 9, 9, 1, 9] * 100_000]), id="many points"),
    pytest.param(in_shape(is_polygon, []), id="no rings"),
    pytest.param(set_step("warp", "matrix", [0] * 9), id="singular"),
    pytest.param(set_step("warp", "matrix", [1, 1, 0, 1, 1, 0, 0, 0, 1]), id="singular, too"),
    pytest.param(set_step("warp", "matrix", [1e-300, 0, 0, 0, 1e-300, 0, 0, 0, 1]), id="nearly singular"),
    pytest.param(set_step("warp", "size_wh", [10**9, 10**9]), id="canvas"),
    pytest.param(set_step("warp", "reduce", [0, 10**9]), id="reduce"),
    pytest.param(set_step("warp", "fill", [10**400, 0, 0]), id="fill"),
    pytest.param(set_step("bars", "region", [[1e300, 1e300]] * 4), id="region"),
    pytest.param(set_step("bars", "region", [[0, 0]] * 100_000), id="long region"),
    pytest.param(set_step("erase", "boxes_xyxy", [[0, 0, 10**30, 10**30]]), id="erase"),
    pytest.param(set_step("erase", "boxes_xyxy", [[0, 0, 1, 1]] * 100_000), id="many boxes"),
    pytest.param(set_step("filter", "sigma", 1e9), id="sigma"),
    pytest.param(set_step("filter", "sigma", 0), id="no sigma"),
    pytest.param(set_step("noise", "std", 1e300), id="std"),
    pytest.param(set_step("noise", "offset", 10**30), id="offset"),
    pytest.param(set_step("recode", "quality", 10**9), id="quality"),
    pytest.param(set_step("colour", "stages", [{"stage": "curve", "name": "gamma", "amount": -1e9}]), id="gamma"),
    pytest.param(set_step("colour", "stages", [{"stage": "matrix", "rows": [1.0]}]), id="rows"),
    pytest.param(set_step("warp", "kind", "fly"), id="kind"),
    pytest.param(set_in("plan.steps", [{"kind": "filter", "sigma": 1.0}] * 100_000), id="many steps"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.filterwarnings("error")
def test_records_that_make_no_sense_are_findings(coco, finished, tmp_path, change):
    forged(finished, tmp_path / "out", change)
    started = time.process_time()
    found = problems(verified(tmp_path / "out", coco))
    assert found != []
    assert all(len(line) < 600 and "\n" not in line for line in found)
    assert time.process_time() - started < 20


# --- files -----------------------------------------------------------------------------------------------------------


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises much and that is small."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def with_member(name: str, data: bytes):
    def change(samples):
        next(iter(samples.values()))[1][name] = data

    return change


@pytest.mark.parametrize("name", ["jpg", "semantic.png"])
@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + bytes(100), huge_png(60_000, 60_000), huge_png(2**31 - 1, 2**31 - 1), huge_png(0, 0)]
)
def test_pictures_that_make_no_sense_are_findings(coco, finished, tmp_path, name, data):
    assert problems(verified(forged(finished, tmp_path / "out", with_member(name, data)), coco)) != []


def spoilt(finished: Path, target: Path, change) -> Path:
    """A folder whose first tar's bytes are changed, its hash and size made to fit."""
    shutil.copytree(finished, target)
    path = target / "all-000000.tar"
    path.write_bytes(change(bytearray(path.read_bytes())))
    resign(target)
    return target


def header_with(at: int, text: bytes):
    def change(data: bytearray) -> bytes:
        data[at : at + len(text)] = text
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        return bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (header_with(124, b"77777777777\0"), "is cut short"),
        (header_with(124, b"-0000000001\0"), "a header that is none of a tar"),
        (header_with(156, b"5"), "is no plain file of a ustar tar"),
        (header_with(156, b"x"), "is no plain file of a ustar tar"),
        (header_with(345, b"../.."), "is no plain file of a ustar tar"),
        (header_with(0, b"\xff\xfe"), "a header that is none of a tar"),
        (lambda data: bytes(data[:1024]), "is cut short"),
        (lambda data: bytes(data[:512]) * 2, "is cut short"),
        (lambda data: b"nothing" * 1000, "a header that is none of a tar"),
        (lambda data: b"", "without its last two blocks"),
        (lambda data: bytes(data).rstrip(b"\0") + bytes(-len(bytes(data).rstrip(b"\0")) % 512), "last two blocks"),
        (lambda data: bytes(10240), "samples, the manifest says"),
    ],
)
def test_tars_that_make_no_sense_are_findings(coco, finished, tmp_path, change, expected):
    found = problems(verified(spoilt(finished, tmp_path / "out", change), coco))
    assert [line for line in found if expected in line] != [], found


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "NaN", "-Infinity"])
def test_numbers_that_no_float_holds_are_refused(number):
    with pytest.raises(ValueError, match=r"number|Infinity|NaN"):
        safe_parse.object_of(b'{"a": [%s]}' % number.encode())


def test_a_member_too_large_to_hold_is_not_read(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(safe_parse, "MOST_MEMBER", 1000)
    found = problems(verified(finished))
    assert [line for line in found if "bytes, expected at most 1,000" in line] != [], found


def test_a_tar_of_another_size_is_not_read_for_its_hash(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    with open(tmp_path / "out" / "all-000000.tar", "r+b") as file:
        file.truncate(1 << 36)  # a hole of 64 GiB
    started = time.process_time()
    found = problems(verified(tmp_path / "out"))
    assert [line for line in found if "has 68,719,476,736 bytes, in the manifest" in line] != [], found
    assert time.process_time() - started < 10


# --- the manifest ----------------------------------------------------------------------------------------------------


def in_manifest(path: str, value):
    def change(manifest):
        *names, last = path.split(".")
        at = manifest
        for name in names:
            at = at[int(name) if isinstance(at, list) else name]
        at[int(last) if isinstance(at, list) else last] = value

    return change


IN_MANIFEST = [
        "config", "config.copies", "config.originals", "config.recipe", "config.recipe.canonical", "config.categories",
        "config.picture", "config.picture.quality", "config.picture.format", "config.source", "config.source.pictures",
        "config.reading", "config.reading.max_pixels", "config.void", "config.split", "config.limit", "shards",
        "shards.0", "shards.0.name", "shards.0.samples", "shards.0.bytes", "totals", "totals.written",
        "totals.dropped", "digest",
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), some_pairs(IN_MANIFEST, [None, -1, 10**30, 1e300, "x", [], {}, [3]], 3))
def test_a_manifest_that_makes_no_sense_is_said_in_a_line(coco, finished, tmp_path, path, value):
    shutil.copytree(finished, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    before = json.dumps(manifest)
    in_manifest(path, value)(manifest)
    if json.dumps(manifest) == before:
        pytest.skip("this is what it says")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    result = call("verify", tmp_path / "out", "--against", coco, "-w", 0)
    assert result.exit_code in (1, 2), (result.output, result.exception)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1 or len(result.stderr.strip().splitlines()) <= 3


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 100_000, '{"steps":' + '[{"group":"all_of","steps":' * 300 + "[]" + "}]" * 300 + "}"],
)
def test_a_recipe_that_makes_no_sense_is_said_in_a_line(finished, tmp_path, text):
    shutil.copytree(finished, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    manifest["config"]["recipe"]["canonical"] = text
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"manifest\.json: not as docs/format\.md has it"):
        verified(tmp_path / "out")


def test_the_sheet_leaves_out_what_cannot_be_drawn(coco, finished, tmp_path):
    """The first tar is no tar, and of the others a plan makes no sense."""
    forged(finished, tmp_path / "forged", set_step("warp", "size_wh", [10**9, 10**9]))
    for source in (spoilt(tmp_path / "forged", tmp_path / "out", lambda data: b"nothing" * 1000), tmp_path / "forged"):
        result = call("verify", source, "--against", coco, "-w", 0, "--sheet", tmp_path / "sheet.png")
        assert (result.exit_code, "Traceback" in result.output) == (1, False)
        assert isinstance(result.exception, SystemExit)


def test_a_large_document_is_not_read(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    with open(tmp_path / "out" / "manifest.json", "r+b") as file:
        file.truncate(1 << 36)
    with pytest.raises(DatasetError, match="68,719,476,736 bytes, expected at most"):
        verified(tmp_path / "out")


def test_run_length_codes_are_those_of_pycocotools():
    import numpy as np
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width = rng.integers(1, 70, 2).tolist()
        bitmap = (rng.random((height, width)) < rng.random() ** 3).astype(np.uint8)
        code = {"size": [height, width], "counts": coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()}
        assert (bitmap_of_code(code, (width, height)) == bitmap.astype(bool)).all()


def test_what_is_read_of_a_tar_is_what_tarfile_reads(finished):
    import tarfile

    for path in sorted(finished.glob("*.tar")):
        ours = {}
        with open(path, "rb") as opened:
            file = opened.fileno()
            for key, places in safe_parse.samples_of(file):
                ours |= {f"{key}.{ending}": data for ending, data in safe_parse.members_at(file, places).items()}
        with tarfile.open(path) as tar:
            theirs = {member.name: io.BytesIO(tar.extractfile(member).read()).getvalue() for member in tar}
        assert ours == theirs
