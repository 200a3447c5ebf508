"""There and back again: what a format can hold comes back from every other that can hold it too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conversions import done, yolo_of, yolo_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import call

inside = st.integers(0, 10**9).map(lambda n: n / 10**9)
side = st.integers(10**6, 10**9).map(lambda n: n / 10**9)


@st.composite
def a_box(draw) -> list[float]:
    w, h = draw(side), draw(side)
    return [round(w / 2 + draw(inside) * (1 - w), 9), round(h / 2 + draw(inside) * (1 - h), 9), w, h]


@st.composite
def an_outline(draw, corners: int) -> list[float]:
    """Corners around a centre, so that it has an area and does not cross itself."""
    angles = sorted(draw(st.lists(st.integers(0, 359), min_size=corners, max_size=corners, unique=True)))
    radius = [draw(st.integers(50, 450)) / 1000 for _ in angles]
    points = [
        (0.5 + r * np.cos(np.radians(a)), 0.5 + r * np.sin(np.radians(a))) for a, r in zip(angles, radius, strict=True)
    ]
    return [round(float(v), 9) for point in points for v in point]


@st.composite
def keypoints(draw) -> list[float]:
    rows = [(draw(inside), draw(inside), 2) if draw(st.booleans()) else (0, 0, 0) for _ in range(3)]
    return [v for row in rows for v in row]


ROWS = {
    "detect": a_box(),
    "segment": st.sampled_from((3, 5, 8)).flatmap(an_outline),
    "obb": an_outline(4),
    "pose": st.builds(lambda box, points: box + points, a_box(), keypoints()),
}
MORE = {"pose": "kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n"}


def is_whole(kind: str, row: list[float]) -> bool:
    xs, ys = row[0::2], row[1::2]
    thick = max(xs) - min(xs) > 0.001 and max(ys) - min(ys) > 0.001
    return kind in ("detect", "pose") or thick


@pytest.mark.parametrize(
    ("kind", "by"),
    [(k, "coco") for k in ROWS] + [("obb", "dota"), ("detect", "voc")],
)
def test_yolo_comes_back(kind, by, tmp_path_factory):
    @settings(max_examples=4, deadline=None)
    @given(rows=st.lists(ROWS[kind].filter(lambda row: is_whole(kind, row)), min_size=1, max_size=4), classes=st.data())
    def trip(rows, classes) -> None:
        folder = tmp_path_factory.mktemp("trip")
        numbers = [classes.draw(st.integers(0, 1)) for _ in rows]
        text = "".join(" ".join(map(str, (n, *row))) + "\n" for n, row in zip(numbers, rows, strict=True))
        yaml_text = f"train: images\nnames: [ant, bee]\ntask: {kind}\n{MORE.get(kind, '')}"
        source = yolo_of(folder / "set", yaml_text, a=text, b="0 .5 .5 1 1\n1 .5 .5 1 1\n")
        done(f"yolo-to-{by}", source, folder / by)
        done(f"{by}-to-yolo", folder / by, folder / "back", "--kind", kind)
        before, after = yolo_rows(source)["a.jpg"], yolo_rows(folder / "back")["a.jpg"]
        thick = [r for r in before if by != "voc" or (r[3] * 40 >= 1 and r[4] * 30 >= 1)]
        for one, other in zip(thick, after, strict=True):
            assert other == pytest.approx(one, abs=1e-9)

    trip()


def test_a_kind_that_was_asked_for_is_that_of_the_whole_run(tmp_path):
    """What rows hold is part of the format's name in a run, so verify and a resumed run read them alike."""
    source = yolo_of(tmp_path / "set", a="0 .1 .1 .5 .1 .5 .5 .1 .5\n")
    for kind, label in (("segment", "polygons"), ("obb", "obb")):
        out: Path = tmp_path / kind
        command = ["augment", source, out, "-r", "detection", "-w", 0, "--from", f"yolo:{kind}"]
        assert call(*command).exit_code == 0
        assert "nothing to do" in call(*command).output
        assert f'"{label}":' in call("inspect", out, "--from", "shards", "--json").output
        result = call("verify", out, "--against", source)
        assert result.exit_code == 0, result.output
