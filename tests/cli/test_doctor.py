"""What ``augpipe doctor`` says of CUDA: every part with its version, or with what brings it."""

from __future__ import annotations

import dataclasses

import pytest
from fake_cuda import H200, working

from augpipe.core.extras import install_command
from augpipe.doctor import facts
from augpipe.pixels.cuda.probe import Probe, ProbeFault


def said(found: Probe) -> dict[str, str]:
    return dict(facts(lambda: found))


def test_where_all_works_versions_and_devices_are_listed():
    rows = said(working(H200, dataclasses.replace(H200, index=1)))
    assert rows["device"] == "cuda:0 (NVIDIA H200)"
    assert rows["driver"] == "570.86.15 (knows CUDA 12.8)"
    assert rows["cupy"] == "14.2.0 (built with CUDA 12.9)"
    assert (rows["nvrtc"], rows["nvimgcodec"], rows["nvjpeg"]) == ("12.9", "0.9.0", "12.4.0.76")
    for device in ("cuda:0", "cuda:1"):
        assert rows[device] == (
            "NVIDIA H200, 139.7 GiB, compute 9.0: a probe kernel and a picture through the codec came out right"
        )
    assert "probe" not in rows


def test_each_part_that_is_missing_says_what_brings_it():
    rows = said(Probe(ProbeFault("no-cupy", "CuPy is not installed"), driver="580.95.05", cuda=13000))
    assert rows["device"] == "cpu (cuda not used: CuPy is not installed)"
    for part in ("cupy", "nvrtc", "headers", "nvimgcodec", "nvjpeg"):
        assert rows[part] == "not there; the extra gpu-cu13 brings it"
    assert rows["driver"] == "580.95.05 (knows CUDA 13.0)"
    assert rows["probe"] == f"CuPy is not installed; {install_command('gpu-cu13')}"
    assert said(Probe(ProbeFault("no-driver", "there is no NVIDIA driver")))["driver"].startswith("not there; ")


@pytest.mark.parametrize(
    ("broken", "way"),
    [
        ({"fault": ProbeFault("no-memory", "the device has no memory left")}, "see nvidia-smi"),
        (
            {"codec_fault": ProbeFault("no-codec", "nvImageCodec is not installed")},
            "pip install 'cupy-cuda12x<15,>=14'",
        ),
    ],
)
def test_a_device_with_a_fault_says_which_and_what_mends_it(broken, way):
    (fault,) = broken.values()
    row = said(working(dataclasses.replace(H200, **broken)))["cuda:0"]
    assert f": {fault.why}; {way}" in row
    assert "came out right" not in row
