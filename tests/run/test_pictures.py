"""Pictures through a run: originals as they are, what is lost told, sharp sources sharp.

What has to come out is said by Pillow and NumPy, which read the sources and the members of the tars.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json

import numpy as np
import pytest
import webdataset
from builders import encoded, exif, photo
from command_line import call
from format_checker import check_folder
from picture_runs import FLIP, GRAY, PHOTO, STILL, deep, deep_png, made, notes, pixels, source
from pictures import band_tiff
from PIL import Image, ImageCms
from runs import run, samples

from augpipe.core.errors import UsageError
from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.run.config import RunOptions
from augpipe.train.dataset import ShardDataset

ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))  # D50, as in its profile
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_profile() -> bytes:
    """The profile of sRGB with the primaries of Adobe RGB (1998)."""
    data = bytearray(SRGB)
    for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_RGB, strict=True):
        row = data.index(name, 128)
        place = int.from_bytes(data[row + 4 : row + 8], "big")
        data[place + 8 : place + 20] = b"".join(round(v * 65536).to_bytes(4, "big") for v in xyz)
    return bytes(data)


WIDE = wide_profile()


# --- originals -------------------------------------------------------------------------------------------------------

KEPT: dict[str, tuple[bytes, str]] = {
    "plain.jpg": (encoded(PHOTO, "JPEG", quality=37), "jpg"),
    "progressive.jpg": (encoded(PHOTO, "JPEG", progressive=True), "jpg"),
    "tagged.jpg": (encoded(PHOTO, "JPEG", exif=exif(1), icc_profile=SRGB), "jpg"),
    "gray.jpg": (encoded(GRAY, "JPEG"), "jpg"),
    "plain.png": (encoded(PHOTO, "PNG"), "png"),
    "tagged.png": (encoded(PHOTO, "PNG", exif=exif(1), icc_profile=WIDE), "png"),
    "gray.png": (encoded(GRAY, "PNG"), "png"),
    "misnamed.jpg": (encoded(PHOTO, "PNG", compress_level=0), "png"),
}
DECODED: dict[str, tuple[bytes, str, np.ndarray]] = {
    "turned.png": (encoded(PHOTO, "PNG", exif=exif(6)), "png", np.rot90(PHOTO, -1)),
    "palette.png": (encoded(Image.fromarray(PHOTO).quantize(16), "PNG"), "png",
                    np.asarray(Image.fromarray(PHOTO).quantize(16).convert("RGB"))),
    "alpha.png": (encoded(np.dstack([PHOTO, PHOTO[:, :, 0]]), "PNG"), "png", PHOTO),
    "deep.png": (deep_png(deep(65535)), "png", np.rint(deep(65535) / 257).astype(np.uint8)),
    "bits.png": (encoded(GRAY.convert("1"), "PNG"), "png", np.asarray(GRAY.convert("1").convert("L"))),
    "a.bmp": (encoded(PHOTO, "BMP"), "png", PHOTO),
    "a.tif": (encoded(PHOTO, "TIFF"), "png", PHOTO),
    "a.gif": (encoded(GRAY, "GIF"), "png", np.dstack([GRAY] * 3)),
    "clear.png": (encoded(PHOTO, "PNG", transparency=(1, 2, 3)), "png", PHOTO),
}  # fmt: skip


@pytest.mark.parametrize("copies", [0, 2])
def test_originals_are_the_files_of_the_source(tmp_path, copies):
    files = {name: data for name, (data, *_) in (KEPT | DECODED).items()}
    made(tmp_path, files, FLIP, copies=copies, originals=True)
    found = {k: s for k, s in samples(tmp_path / "out").items() if k.endswith("-orig")}
    assert len(found) == len(files)
    for sample in found.values():
        record = json.loads(sample["json"])
        name = record["source"]["key"].removeprefix("class/")
        assert record["source"]["sha256"] == hashlib.sha256(files[name]).hexdigest()
        if name in KEPT:
            assert sample[KEPT[name][1]] == files[name]
        else:
            _, ending, expected = DECODED[name]
            got = Image.open(io.BytesIO(sample[ending]))
            assert np.array_equal(np.asarray(got).squeeze(), expected), name
            assert not {"exif", "icc_profile", "transparency"} & set(got.info)
    assert notes(tmp_path)["original-decoded"] == len(DECODED)
    assert not check_folder(tmp_path / "out", sources={f"class/{name}": data for name, data in files.items()})
    verified = call("verify", tmp_path / "out", "--against", tmp_path / "set", "-w", 0)
    assert verified.exit_code == 0, verified.output


def test_cmyk_is_written_like_a_copy(tmp_path):
    inks = encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=98, subsampling=0)
    found = made(tmp_path, {"a.jpg": inks}, copies=0, originals=True)
    assert Image.open(io.BytesIO(found["a.jpg"]["jpg"])).mode == "RGB"
    assert notes(tmp_path) == {"cmyk-converted": 1, "original-decoded": 1}


def test_how_many_originals_were_decoded_is_said(tmp_path):
    folder = source(tmp_path, {"a.jpg": KEPT["plain.jpg"][0], "b.png": DECODED["palette.png"][0]})
    said = call(
        "augment", folder, tmp_path / "out", "-r", "gentle", "--originals", "-w", 0, "--from", "imagefolder"
    ).stdout
    assert "originals decoded and written like copies: 1" in said


@pytest.mark.parametrize("copies", [0, 1])
def test_a_damaged_original_is_rejected_or_kept_as_asked(tmp_path, copies):
    big = encoded(photo((160, 120)), "JPEG")
    cut, png = big[: len(big) * 2 // 3], bytearray(encoded(PHOTO, "PNG"))
    png[-20] ^= 255  # the last checksum of the pixels
    files = {"a.jpg": cut, "b.jpg": big, "c.png": bytes(png)}
    folder = source(tmp_path, files)
    common = {"copies": copies, "originals": True, "format": "imagefolder", "max_rejects": "100%"}
    run(folder, tmp_path / "rejected", STILL, **common)
    run(folder, tmp_path / "kept", STILL, truncated="keep", **common)
    for name in ("rejected", "kept"):
        for sample in samples(tmp_path / name).values():
            (ending,) = {"jpg", "png"} & sample.keys()
            Image.open(io.BytesIO(sample[ending])).load()  # strict: whatever was written is whole
    rows = [json.loads(line) for line in (tmp_path / "rejected" / "rejects.jsonl").read_text().splitlines()]
    assert [(row["source"], row["error"], row["copies"]) for row in rows if row["source"] == "class/a.jpg"] == [
        ("class/a.jpg", "truncated", [-1, *range(copies)])
    ]
    kept = {json.loads(s["json"])["source"]["key"] for s in samples(tmp_path / "kept").values()}
    assert {"class/a.jpg", "class/b.jpg"} <= kept


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2
def test_originals_and_copies_of_two_formats_are_read_by_everyone(tmp_path):
    """Plain webdataset, the loader, verify, preview, and the way back to a dataset."""
    names = ("plain.jpg", "tagged.jpg", "plain.png", "tagged.png", "turned.png", "a.bmp")
    files = {name: (KEPT | DECODED)[name][0] for name in names}
    made(tmp_path, files, FLIP, copies=1, originals=True, picture=PictureFormat("webp", subsampling="none"))
    out = tmp_path / "out"
    urls = [str(path) for path in sorted(out.glob("*.tar"))]
    shards = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)
    read = list(shards.decode("rgb8").to_tuple("jpg;png;webp", "json"))
    del shards
    gc.collect()  # webdataset leaves its files open, which must not be blamed on a later test
    assert len(read) == 2 * len(files)
    plain = {record["key"]: picture for picture, record in read}
    for image, target in ShardDataset(out):
        expected = plain[target["key"]].transpose(2, 0, 1)
        assert np.abs(image.numpy().astype(int) - expected).max() <= 3  # of JPEG, two decoders
    for command in (
        ("verify", out, "--against", tmp_path / "set", "-w", 0, "--sheet", tmp_path / "sheet.png"),
        ("preview", out, "-r", "gentle", "-o", tmp_path / "preview.png"),
        ("inspect", out),
    ):
        result = call(*command)
        assert result.exit_code == 0, (command, result.output)
    result = call("convert", "shards-to-coco", out, tmp_path / "coco")
    assert (result.exit_code, "no label can be written, so nothing was written: tags 12" in result.stderr) == (1, True)


# --- sharp sources ---------------------------------------------------------------------------------------------------


def red_line() -> np.ndarray:
    picture = np.full((32, 48, 3), 40, np.uint8)
    picture[:, 21] = (255, 0, 0)
    return picture


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_a_line_of_one_pixel_stays_sharp(tmp_path, form):
    found = made(tmp_path, {"a.png": encoded(red_line(), form)}, FLIP)
    assert np.array_equal(pixels(found["a.png"]["png"]), red_line()[:, ::-1])


def test_jpeg_sources_stay_jpeg(tmp_path):
    found = made(tmp_path, {"a.jpg": encoded(PHOTO), "b.webp": encoded(PHOTO, "WEBP")})
    assert all("jpg" in sample for sample in found.values())


@pytest.mark.parametrize(("subsampling", "sampling"), [("4:2:0", (2, 2)), ("4:4:4", (1, 1))])
def test_the_colors_of_a_jpeg_by_pixel_or_by_fours(tmp_path, subsampling, sampling):
    form = PictureFormat("jpg", 95, subsampling)
    found = made(tmp_path, {"a.png": encoded(red_line(), "PNG")}, FLIP, picture=form)["a.png"]["jpg"]
    assert Image.open(io.BytesIO(found)).layer[0][1:3] == sampling
    off = np.abs(pixels(found)[:, 26].astype(int) - (255, 0, 0)).max()
    assert off <= 25 if subsampling == "4:4:4" else off > 40


@pytest.mark.parametrize(("name", "data"), [("a.png", encoded(red_line(), "PNG")),
                                            ("a.webp", encoded(red_line(), "WEBP", lossless=True))])  # fmt: skip
def test_webp_is_lossless_where_the_source_is(tmp_path, name, data):
    found = made(tmp_path, {name: data, "b.jpg": encoded(PHOTO)}, FLIP, picture=PictureFormat("webp", 80, "none"))
    sharp = Image.open(io.BytesIO(found[name]["webp"]))
    assert sharp.format == "WEBP"
    assert np.array_equal(np.asarray(sharp), red_line()[:, ::-1])
    assert b"VP8 " in found["b.jpg"]["webp"][:16]


def test_what_webp_cannot_hold_is_a_reject(tmp_path):
    long = encoded(np.zeros((2, 17_000, 3), np.uint8), "PNG")
    assert not made(tmp_path, {"a.png": long}, picture=PictureFormat("webp", 80, "none"))
    (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (row["stage"], row["error"]) == ("encode", "encode")


# --- what is lost is said --------------------------------------------------------------------------------------------

TOLD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "depth.png": (deep_png(deep(65535)), ("depth-reduced",)),
    "depth.tif": (encoded(Image.fromarray(deep(65535)), "TIFF"), ("depth-reduced",)),
    "depth.ppm": (b"P5 2 1 65535\n\0\1\2\3", ("depth-reduced",)),
    "deep.ppm": (b"P6 1 1 65535\n\0\1\2\3\4\5", ("depth-reduced",)),
    "depth.jp2": (encoded(Image.fromarray(deep(65535)), "JPEG2000"), ("depth-reduced",)),
    "alpha.png": (DECODED["alpha.png"][0], ("alpha-dropped",)),
    "clear.png": (DECODED["clear.png"][0], ("alpha-dropped",)),
    "alpha.webp": (encoded(np.dstack([PHOTO, PHOTO[:, :, 0]]), "WEBP"), ("alpha-dropped",)),
    "alpha.tif": (encoded(np.dstack([PHOTO, PHOTO[:, :, 0]]), "TIFF"), ("alpha-dropped",)),
    "bands.tif": (band_tiff(deep(255, 1, 5).astype(np.uint8)), ("bands-dropped",)),
    "inks.jpg": (encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG"), ("cmyk-converted",)),
    "wide.jpg": (encoded(PHOTO, "JPEG", icc_profile=WIDE), ("color-profile-dropped",)),
    "wide.png": (encoded(PHOTO, "PNG", icc_profile=WIDE), ("color-profile-dropped",)),
    "wide.tif": (encoded(PHOTO, "TIFF", icc_profile=WIDE), ("color-profile-dropped",)),
    "srgb.jpg": (encoded(PHOTO, "JPEG", icc_profile=SRGB), ("srgb-profile-dropped",)),
    "broken.jpg": (encoded(PHOTO, "JPEG", icc_profile=SRGB[:200]), ("color-profile-dropped",)),
    "plain.jpg": (encoded(PHOTO, "JPEG"), ()),
    "plain.png": (encoded(PHOTO, "PNG"), ()),
    "palette.png": (DECODED["palette.png"][0], ()),
    "plain.tif": (encoded(PHOTO, "TIFF"), ()),
    "plain.jp2": (encoded(PHOTO, "JPEG2000"), ()),
    "gray.webp": (encoded(GRAY, "WEBP"), ()),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_dropped_is_noted_and_refused_by_strict(tmp_path, name):
    data, told = TOLD[name]
    assert len(made(tmp_path / "a", {name: data})) == 1
    assert notes(tmp_path / "a") == dict.fromkeys(told, 1)
    strict = made(tmp_path / "b", {name: data}, strict=True)
    rows = list(map(json.loads, (tmp_path / "b" / "out" / "rejects.jsonl").read_text().splitlines()))
    refused = set(told) - {"srgb-profile-dropped"}
    assert len(strict) == (not refused)
    assert [row["error"] for row in rows] == ["strict"] * bool(refused)
    assert all(note in rows[0]["message"] for note in refused)
    inspected = json.loads(call("inspect", tmp_path / "a" / "set", "--from", "imagefolder", "--json").stdout)
    assert set(told) <= inspected["oddities"].keys()


# --- what makes no sense ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("--range", "5,5"), ("--range", "0,70000"), ("--range", "-1,5"), ("--range", "some"), ("--bands", "0,1,2"),
     ("--bands", "1,2"), ("--bands", "r,g,b"), ("--channels", "gray"), ("--picture", "gif"), ("--subsampling", "422"),
     ("--picture", "webp", "--subsampling", "444")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_what_does(tmp_path, arguments):
    folder = source(tmp_path, {"a.png": encoded(PHOTO, "PNG")})
    refused = call("augment", folder, tmp_path / "out", "-r", "gentle", "-w", 0, "--from", "imagefolder", *arguments)
    assert refused.exit_code == 2
    assert arguments[-2] in refused.stderr
    assert "expected" in refused.stderr or "take --picture" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_what_a_library_asks_for_is_checked_too():
    for options in (
        RunOptions(picture=PictureFormat("gif")),
        RunOptions(picture=PictureFormat("jpg", subsampling="4:1:1")),
        RunOptions(reading=PixelReading((9, 3))),
        RunOptions(reading=PixelReading(bands=(0, 1, 2))),
    ):
        with pytest.raises(UsageError, match="expected"):
            options.check()
