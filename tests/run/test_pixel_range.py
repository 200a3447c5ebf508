"""The samples of 16-bit and many-banded pictures through a run: one range, the bands asked for, equal channels.

What has to come out is computed by NumPy.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from builders import encoded
from command_line import call
from picture_runs import FLIP, GRAY, PHOTO, STILL, deep, deep_png, made, pixels, source
from pictures import band_tiff
from PIL import Image
from runs import promised, promised_manifest, recipe_of, records, run, samples

from augpipe.core.errors import UsageError
from augpipe.formats import significant_bits
from augpipe.formats.base import SourceOptions
from augpipe.pixels.codec.pixel_reading import FULL, PixelReading
from augpipe.run.retry import retry

# --- more than 8 bits ------------------------------------------------------------------------------------------------


def test_twelve_bits_of_sixteen_are_not_black(tmp_path):
    """One range for the set: the second picture alone uses ten bits."""
    files = {"a.png": deep(4095), "b.png": deep(1023), "c.png": deep(4000, 3, 3)}
    found = made(tmp_path, {name: deep_png(values) for name, values in files.items()})
    for name, values in files.items():
        assert np.array_equal(pixels(found[name]["png"]), np.rint(values / 4095 * 255).astype(np.uint8)), name
    assert json.loads((tmp_path / "out" / "run.json").read_bytes())["config"]["picture"]["range"] == [0, 4095]
    verified = call("verify", tmp_path / "out", "--against", tmp_path / "set", "-w", 0)
    assert verified.exit_code == 0, verified.output


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (FULL, lambda v: np.rint(v / 257)),
        ((1000, 3000), lambda v: np.floor((np.clip(v.astype(float), 1000, 3000) - 1000) * 255 / 2000 + 0.5)),
        (None, lambda v: np.rint(v / 4095 * 255)),
    ],
)
@pytest.mark.parametrize("form", [deep_png, lambda v: encoded(Image.fromarray(v), "TIFF")])
def test_the_range_is_the_one_asked_for(tmp_path, asked, expected: Callable[[np.ndarray], np.ndarray], form):
    found = made(tmp_path, {"a.png": form(deep(4095))}, reading=PixelReading(asked))
    assert np.array_equal(pixels(found["a.png"]["png"]), expected(deep(4095)).astype(np.uint8))


def test_eight_bits_in_sixteen_and_all_bits(tmp_path):
    few = made(tmp_path / "a", {"a.png": deep_png(deep(77))})
    assert np.array_equal(pixels(few["a.png"]["png"]), deep(77).astype(np.uint8))
    black = made(tmp_path / "b", {"a.png": deep_png(deep(0))})
    assert not pixels(black["a.png"]["png"]).any()
    full = made(tmp_path / "c", {"a.png": deep_png(deep(40000)), "b.png": deep_png(deep(9))})
    assert np.array_equal(pixels(full["b.png"]["png"]), np.rint(deep(9) / 257).astype(np.uint8))
    assert "range" not in json.loads((tmp_path / "c" / "out" / "run.json").read_bytes())["config"]["picture"]


def test_the_range_is_that_of_the_whole_source_whatever_part_is_asked_for(tmp_path):
    for split, most in (("train", 4095), ("val", 1023)):
        (tmp_path / "set" / split / "class").mkdir(parents=True)
        (tmp_path / "set" / split / "other").mkdir(parents=True)
        (tmp_path / "set" / split / "class" / "a.png").write_bytes(deep_png(deep(most)))
        (tmp_path / "set" / split / "other" / "b.png").write_bytes(deep_png(deep(most)))
    run(tmp_path / "set", tmp_path / "out", STILL, format="imagefolder", split="val", limit=1)
    (sample,) = samples(tmp_path / "out").values()
    assert np.array_equal(pixels(sample["png"]), np.rint(deep(1023) / 4095 * 255).astype(np.uint8))


def test_a_run_keeps_its_range(tmp_path):
    """Resumed, extended, retried: the range in run.json counts, and no picture is decoded for it again."""
    folder = source(tmp_path, {f"{i}.png": deep_png(deep(4095, i)) for i in range(3)})
    common = {"format": "imagefolder", "sources_per_shard": 1}
    run(folder, tmp_path / "out", STILL, **common)
    whole = promised(tmp_path / "out")
    lost = next(iter(whole["tars"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(significant_bits, "read_picture", lambda entry: pytest.fail("was looked at again"))
        for again in (lambda: retry(tmp_path / "out"), lambda: run(folder, tmp_path / "out", STILL, **common)):
            (tmp_path / "out" / lost).unlink()
            (tmp_path / "out" / "manifest.json").unlink()
            again()
            assert promised(tmp_path / "out") == whole
        run(folder, tmp_path / "out", STILL, copies=2, extend=True, **common)
    run(folder, tmp_path / "two", STILL, copies=2, **common)
    assert {k: {e: d for e, d in s.items() if e == "png"} for k, s in samples(tmp_path / "out").items()} == {
        k: {e: d for e, d in s.items() if e == "png"} for k, s in samples(tmp_path / "two").items()
    }
    with pytest.raises(UsageError, match=r"picture\.range"):
        run(folder, tmp_path / "out", STILL, copies=2, reading=PixelReading(FULL), **common)


def test_the_number_of_workers_changes_nothing(tmp_path):
    files = {"a.png": deep_png(deep(4095)), "b.tif": band_tiff(deep(4095, 2, 5)), "c.jpg": encoded(PHOTO),
             "d.png": encoded(PHOTO, "PNG"), "e.png": deep_png(deep(1023, 5))}  # fmt: skip
    folder = source(tmp_path, files)
    options = {"format": "imagefolder", "sources_per_shard": 2, "originals": True, "copies": 2}
    for workers in (0, 1, 2):
        run(folder, tmp_path / str(workers), FLIP, workers=workers, **options)
    assert promised(tmp_path / "0") == promised(tmp_path / "1") == promised(tmp_path / "2")
    assert promised_manifest(tmp_path / "0") == promised_manifest(tmp_path / "2")


def test_jpegs_cost_nothing_and_pngs_of_8_bits_a_look(tmp_path, monkeypatch):
    looked: list[int] = []
    head_of = significant_bits.head_of
    monkeypatch.setattr(significant_bits, "head_of", lambda place, most: looked.append(most) or head_of(place, most))
    monkeypatch.setattr(significant_bits, "read_picture", lambda entry: pytest.fail("was read"))
    made(tmp_path / "a", {f"{i}.jpg": encoded(PHOTO) for i in range(3)})
    assert looked == []
    made(tmp_path / "b", {"a.png": encoded(PHOTO, "PNG"), "b.tif": encoded(PHOTO, "TIFF", compression="tiff_lzw")})
    assert len(looked) <= 3
    assert sum(looked) <= 2 * 64 + (1 << 16)


def test_a_picture_that_cannot_be_read_now_is_no_range(tmp_path, monkeypatch):
    from augpipe.core.errors import Reject

    def refused(entry: object) -> bytes:
        raise Reject("read", "io", "a.png: Input/output error", transient=True)

    monkeypatch.setattr(significant_bits, "read_picture", refused)
    with pytest.raises(
        UsageError, match=r"a.png: .*range of its bits is not known\nrun the same command again, or say"
    ):
        made(tmp_path, {"a.png": deep_png(deep(4095))})


def test_a_preview_shows_what_a_run_would_write(tmp_path):
    from augpipe.formats.registry import open_dataset
    from augpipe.run.dry_run import samples as shown

    folder = source(tmp_path, {"a.png": deep_png(deep(1023)), "b.png": deep_png(deep(4095))})
    (first,) = shown(open_dataset(str(folder), SourceOptions("imagefolder")), STILL, 0, 1, 1, source=str(folder))
    assert np.array_equal(first.samples[1].pixels, np.rint(deep(1023) / 4095 * 255).astype(np.uint8))


# --- bands and channels ----------------------------------------------------------------------------------------------


def test_the_bands_asked_for_are_red_green_and_blue(tmp_path):
    bands = deep(4095, 1, 8)
    found = made(tmp_path, {"a.tif": band_tiff(bands)}, reading=PixelReading(bands=(8, 3, 1)))
    high = int(bands[:, :, [7, 2, 0]].max())
    assert high.bit_length() == 12
    assert np.array_equal(pixels(found["a.tif"]["png"]), np.rint(bands[:, :, [7, 2, 0]] / 4095 * 255).astype(np.uint8))
    assert json.loads((tmp_path / "out" / "run.json").read_bytes())["config"]["picture"]["bands"] == [8, 3, 1]


def test_gray_becomes_three_equal_channels(tmp_path):
    files = {
        "a.jpg": encoded(GRAY),
        "b.png": encoded(GRAY, "PNG"),
        "c.jpg": encoded(PHOTO),
        "d.png": deep_png(deep(4095)),
    }
    recipe = recipe_of(
        "version: 1\nsteps:\n- resize: {longest: 20}\n- brightness_contrast: {brightness: 0.2, contrast: 0.2}\n"
    )
    made(tmp_path, files, recipe, copies=1, originals=True, reading=PixelReading(channels="rgb"))
    for key, sample in samples(tmp_path / "out").items():
        (ending,) = {"jpg", "png"} & sample.keys()
        got = pixels(sample[ending])
        assert got.ndim == 3, key
        if json.loads(sample["json"])["source"]["key"] != "class/c.jpg":
            assert np.ptp(got.astype(int), axis=2).max() == 0, key
    verified = call("verify", tmp_path / "out", "--against", tmp_path / "set", "-w", 0)
    assert verified.exit_code == 0, verified.output
    assert records(tmp_path / "out")
