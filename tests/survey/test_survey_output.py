"""``augpipe inspect`` on runs and on two datasets, its plots, and that its JSON is as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from builders import SHARED, object_xml, voc_xml, write_voc
from command_line import call
from PIL import Image
from places import DOCS

from augpipe.core.extras import install_command
from augpipe.survey import survey


def inspected(*arguments: object) -> dict:
    result = call("inspect", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


def test_a_finished_folder_has_its_totals_and_the_same_statistics(voc, tmp_path):
    call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0, "--copies", 2)
    found = inspected(tmp_path / "out")
    assert (found["run"]["state"], found["run"]["samples"], found["pictures"]) == ("finished", 18, 18)
    assert found["run"]["objects"] == found["objects"] == sum(c["objects"] for c in found["classes"])
    assert {k: v for k, v in inspected(tmp_path / "out", "--from", "shards").items() if k != "run"} == {
        k: v for k, v in found.items() if k != "run"
    }


def test_an_unfinished_folder_says_how_far_it_is_and_how_to_go_on(voc, tmp_path):
    out = tmp_path / "out"
    call("augment", voc, out, "-r", "gentle", "-w", 0)
    (out / "manifest.json").unlink()
    assert inspected(out)["run"]["next"] == f"all shards are there; close it with: augpipe finish {out}"
    (out / "all-000003.json").unlink()
    (out / "all-000004.tar").write_bytes(b"short")
    run = inspected(out)["run"]
    assert (run["state"], run["shards_done"], run["shards"], run["samples"]) == ("unfinished", 7, 9, 7)
    assert [b["name"] for b in run["shards_broken"]] == ["all-000004"]
    shown = call("inspect", out)
    assert shown.exit_code == 0
    assert "unfinished run, 7 of 9 shards done" in shown.stdout
    assert "next: run the same augment command again" in shown.stdout
    assert call("inspect", out, "-o", tmp_path / "x.png").exit_code == 2


def test_two_datasets_side_by_side(voc, tmp_path):
    call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0, "--copies", 3)
    found = inspected("--diff", voc, tmp_path / "out")
    numbers = {row["name"]: row for row in found["numbers"]}
    assert (numbers["pictures"]["a"], numbers["pictures"]["b"], numbers["pictures"]["ratio"]) == (9, 27, 3)
    for row in found["classes"]:
        for side in ("a", "b"):
            counts = {c["name"]: c["objects"] for c in found[side]["classes"]}
            assert row[side]["count"] == counts[row["name"]]
            share = counts[row["name"]] / sum(counts.values())
            assert row[side]["share"] == pytest.approx(share, rel=1e-3)
        assert row["share_difference"] == pytest.approx(row["b"]["share"] - row["a"]["share"], abs=1e-4)
    shown = call("inspect", "--diff", voc, tmp_path / "out", "-o", tmp_path / "d.png")
    assert shown.exit_code == 0
    with Image.open(tmp_path / "d.png") as image:
        assert image.size[0] > 1000
    other = inspected("--diff", voc, SHARED / "raccoon") if (SHARED / "raccoon").exists() else None
    assert other is None or {row["only_in"] for row in other["classes"]} == {"a", "b"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--diff"], "--diff compares two datasets"),
        (["other"], "--diff compares two datasets"),
        (["-o", "x.jpg"], "expected a name that ends in .png"),
        (["-o", "nowhere/x.png"], "its folder does not exist"),
        (["-w", "-1"], "--workers -1"),
    ],
)
def test_requests_that_cannot_work_are_told_before_the_work(voc, arguments, said):
    result = call("inspect", voc, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_plots_of_every_format_and_of_many_classes(voc, coco, masks_folder, classes_folder, tmp_path):
    many = tmp_path / "many"
    objects = [object_xml(f"class number {i} of a very long name indeed", (1, 1, 9, 9)) for i in range(50)]
    write_voc(many, {"a": voc_xml(*objects)})
    for source in (voc, coco, masks_folder, classes_folder, many):
        target = tmp_path / "plots.png"
        assert call("inspect", source, "-o", target).exit_code == 0
        with Image.open(target) as image:
            assert image.mode == "RGB"
            assert len(image.getcolors(1 << 20)) > 50
        target.unlink()
    shown = call("inspect", many).stdout
    assert "  and 10 more\n" in shown


def test_words_of_a_sheet_never_leave_it(tmp_path):
    """Every text lies on the sheet, is drawn as it is written, and no class name changes what another one shows."""
    from matplotlib.text import Text

    from augpipe.survey import plots

    names = ("w" * 200, "ü 漢字 \u202e", "$x^2$", "a_b\\$")
    write_voc(tmp_path / "set", {"a": voc_xml(*(object_xml(name, (1, 1, 19, 9)) for name in names)), "b": voc_xml()})
    write_voc(tmp_path / "none", {"a": voc_xml()})
    report, empty = replace(survey(tmp_path / "set"), path="W" * 300), survey(tmp_path / "none")
    assert plots.sheet([empty]).shape[2] == 3
    for reports in ([report], [report, report], [empty, report]):
        figure = plots.figure(reports)
        plots.drawn(figure)
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        assert len(texts) > 30
        for text in texts:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
            assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
        written = {text.get_text() for text in texts}
        assert {"w" * 27 + "…", "ü ?? \\u202e", "$x^2$"} <= written


def test_a_sheet_is_the_same_whatever_matplotlib_is_told_elsewhere(voc):
    import matplotlib

    from augpipe.survey.plots import sheet

    report = survey(voc)
    before = sheet([report])
    with matplotlib.rc_context({"font.size": 20.0, "text.color": "red", "text.parse_math": True}):
        assert (sheet([report]) == before).all()
        assert matplotlib.rcParams["font.size"] == 20.0


def test_without_matplotlib_only_the_plots_are_missing(voc, tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None; from augpipe.cli.main import main; "
        "sys.argv = ['augpipe', *sys.argv[1:]]; main()"
    )
    for options, expected in (([], 0), (["-o", tmp_path / "x.png"], 2)):
        command = [sys.executable, "-c", code, "inspect", voc, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, bool(done.stdout)) == (expected, expected == 0), done.stderr
    assert "augpipe inspect -o needs the extra plots" in done.stderr
    assert install_command("plots") in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_the_documented_keys_are_those_of_the_json(voc, tmp_path):
    """docs/inspect.md names every key, and no other."""
    import re

    page = (DOCS / "inspect.md").read_text("utf-8")
    named = {
        key for line in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for key in re.findall(r"`([\w.]+)`", line)
    }
    call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0)
    found = [inspected(tmp_path / "out"), inspected("--diff", voc, voc)]
    (tmp_path / "out" / "manifest.json").unlink()
    found.append(inspected(tmp_path / "out"))
    keys = {key for value in found for key in _keys(value)}
    assert keys - named == set()
    assert {n for n in named if n not in keys} <= set(_OPTIONAL)


_OPTIONAL = ("file", "picture", "line", "object", "id", "name", "message", "why", "count", "unit", "means", "examples")
_FREE = ("formats", "kinds", "oddities", "dropped", "notes", "label_kinds", "versions", "rejects")


def _keys(value: object) -> set[str]:
    """All keys at any depth; below those whose own keys are names or codes only what is inside of them."""
    if isinstance(value, list):
        return {key for item in value for key in _keys(item)}
    if not isinstance(value, dict):
        return set()
    out = set()
    for key, inner in value.items():
        out.add(key)
        below = inner.values() if key in _FREE and isinstance(inner, dict) else [inner]
        out |= {k for item in below for k in _keys(item)}
    return out
