"""What each option comes to on each machine, in one line; what cannot work says why, and the way out works."""

from __future__ import annotations

import dataclasses
import pickle
import re

import pytest
from fake_cuda import H200, working
from installing import names_of
from places import DOCS

from augpipe.core.errors import UsageError
from augpipe.core.extras import install_command
from augpipe.pixels.cuda import select as devices
from augpipe.pixels.cuda.probe import Gpu, Probe, ProbeFault
from augpipe.pixels.cuda.select import Device, resolve, way_out

SECOND = dataclasses.replace(H200, index=1)
OTHER = Gpu(1, "NVIDIA L4", 24_000_000_000, "8.9")
BAD = ProbeFault("mismatch", "a probe kernel gave other numbers than the CPU")


def never() -> Probe:
    raise AssertionError("not asked for")


def on(*gpus: Gpu, **changed) -> object:
    return lambda: working(*gpus, **changed)


def refused(device: str, codec: str = "auto", probed=never) -> list[str]:
    with pytest.raises(UsageError) as caught:
        resolve(device, codec, probed)
    lines = str(caught.value).splitlines()
    assert len(lines) <= 2
    return lines


# --- what works ------------------------------------------------------------------------------------------------------


def test_the_cpu_is_taken_without_a_probe():
    assert resolve("cpu", probed=never) == Device() == resolve("cpu", "cpu", never)
    assert Device().sentence == "cpu"
    assert Device().versions == {}


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0", "cuda:all"])
def test_cuda_is_taken_where_it_works(device):
    found = resolve(device, probed=on())
    assert (found.kind, found.indexes, found.names, found.codec) == ("cuda", (0,), ("NVIDIA H200",), "nvimgcodec")
    assert found.sentence == "cuda:0 (NVIDIA H200)"
    assert found.versions == {
        "cupy": "14.2.0", "driver": "570.86.15", "nvrtc": "12.9",
        "nvimgcodec": "0.9.0", "nvjpeg": "12.4.0.76", "gpu": "NVIDIA H200",
    }  # fmt: skip


def test_a_number_is_that_device_and_all_are_all():
    assert resolve("cuda:1", probed=on(H200, SECOND)).indexes == (1,)
    both = resolve("cuda:all", probed=on(H200, SECOND))
    assert both.indexes == (0, 1)
    assert both.sentence == "cuda:0 (NVIDIA H200), cuda:1 (NVIDIA H200)"


def test_the_first_device_that_works_is_taken_unless_one_is_named():
    broken = dataclasses.replace(H200, fault=BAD)
    for device in ("auto", "cuda"):
        assert resolve(device, probed=on(broken, SECOND)).indexes == (1,)
    for device in ("cuda:0", "cuda:all"):
        assert refused(device, probed=on(broken, SECOND))[0] == f"--device {device}: cannot work, {BAD.why}"


def test_the_codec_of_the_cpu_leaves_no_trace_of_the_others():
    found = resolve("cuda", "cpu", on())
    assert (found.codec, found.sentence) == ("cpu", "cuda:0 (NVIDIA H200)")
    assert set(found.versions) == {"cupy", "driver", "nvrtc"}


def test_a_codec_that_does_not_work_is_passed_over_with_its_reason_or_refused():
    gpu = dataclasses.replace(H200, codec_fault=ProbeFault("no-codec", "nvImageCodec is not installed"))
    found = resolve("auto", probed=on(gpu))
    assert found.codec == "cpu"
    assert found.sentence == "cuda:0 (NVIDIA H200); pictures by the CPU's codec (nvImageCodec is not installed)"
    assert refused("auto", "gpu", on(gpu)) == [
        "--codec gpu: cannot work, nvImageCodec is not installed",
        f"{CU12}; or use --codec cpu",
    ]


def test_devices_of_two_kinds_do_not_share_the_codec_that_differs_between_them():
    found = resolve("cuda:all", probed=on(H200, OTHER))
    assert found.codec == "cpu"
    assert "devices of several kinds" in found.sentence
    assert "devices of several kinds" in refused("cuda:all", "gpu", on(H200, OTHER))[0]
    assert resolve("cuda:1", "gpu", on(H200, OTHER)).versions["gpu"] == "NVIDIA L4"


def test_a_device_goes_to_other_processes():
    found = resolve("cuda", probed=on())
    assert pickle.loads(pickle.dumps(found)) == found


# --- what does not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "codec", "said"),
    [
        ("tpu", "auto", "--device tpu: expected auto, cpu, cuda, cuda:N or cuda:all"),
        ("cuda:", "auto", "--device cuda:: expected"),
        ("cuda:-1", "auto", "--device cuda:-1: expected"),
        ("cuda:٣", "auto", "--device cuda:٣: expected"),
        ("cuda:99999", "auto", "--device cuda:99999: expected"),
        ("CUDA", "auto", "--device CUDA: expected"),
        ("cuda\n", "auto", "--device cuda"),
        ("cpu", "nvimgcodec", "--codec nvimgcodec: expected auto, cpu or gpu"),
        ("cpu", "gpu", "--codec gpu: cannot work with --device cpu"),
    ],
)
def test_what_is_no_device_is_said_before_anything_is_tried(device, codec, said):
    assert refused(device, codec)[0].startswith(said)


CU12 = (
    "pip install 'cupy-cuda12x<15,>=14' nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 "
    "'nvidia-nvimgcodec-cu12<0.10,>=0.9' nvidia-nvjpeg-cu12"
)
CU13 = (
    "pip install 'cupy-cuda13x<15,>=14' 'nvidia-cuda-nvrtc<14,>=13' 'nvidia-cuda-runtime<14,>=13' "
    "'nvidia-nvimgcodec-cu13<0.10,>=0.9' 'nvidia-nvjpeg<14,>=13'"
)
FAULTS = {
    "no-cupy": (Probe(ProbeFault("no-cupy", "CuPy is not installed"), cuda=12080), CU12),
    "no-cupy, new driver": (
        Probe(ProbeFault("no-cupy", "CuPy is not installed"), cuda=13000), CU13,
    ),
    "no-cupy, no driver": (
        Probe(ProbeFault("no-cupy", "CuPy is not installed")),
        f"install NVIDIA's driver; then {CU12} (docs/gpu.md for CUDA 13); --device cpu works",
    ),
    "two builds": (
        Probe(ProbeFault("two-builds", "cupy-cuda12x and cupy-cuda13x are both installed, and …"), cuda=13000),
        f"pip uninstall cupy-cuda12x cupy-cuda13x; then {CU13}",
    ),
    "broken": (Probe(ProbeFault("broken-cupy", "CuPy does not load: …"), cuda=12080), "pip install --force-reinstall"),
    "no folder": (
        Probe(ProbeFault("no-folder", "CuPy cannot keep compiled kernels: …"), cuda=12080),
        "CUPY_CACHE_DIR=FOLDER names",
    ),
    "no driver": (
        Probe(ProbeFault("no-driver", "there is no NVIDIA driver"), runtime=12090), "install NVIDIA's driver"
    ),
    "driver of 12 under CuPy of 13": (
        Probe(ProbeFault("old-driver", "the driver is of CUDA 12.4; …"), cuda=12040, runtime=13000),
        f"pip uninstall cupy-cuda13x nvidia-nvimgcodec-cu13; then {CU12}",
    ),
    "driver of 11": (
        Probe(ProbeFault("old-driver", "the driver is of CUDA 11.4"), cuda=11040, runtime=12090),
        "install a driver of CUDA 12 or newer",
    ),
    "no device": (Probe(ProbeFault("no-device", "no CUDA device is visible"), cuda=12080), "see nvidia-smi"),
    "no NVRTC": (
        working(dataclasses.replace(H200, fault=ProbeFault("no-nvrtc", "NVRTC is not …")), runtime=13000),
        CU13,
    ),
    "no headers": (
        working(dataclasses.replace(H200, fault=ProbeFault("no-headers", "CUDA's headers, which …"))),
        f"{CU12}; or CUDA_PATH=FOLDER names a CUDA toolkit",
    ),
    "mismatch": (working(dataclasses.replace(H200, fault=BAD)), "augpipe doctor shows more"),
    "no memory": (
        working(dataclasses.replace(H200, fault=ProbeFault("no-memory", "the device has no memory left"))),
        "see nvidia-smi",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_auto_says_why_it_takes_the_cpu_and_cuda_how_to_get_there(name):
    found, way = FAULTS[name]
    fault = found.fault or found.gpus[0].fault
    assert resolve("auto", probed=lambda: found) == Device(sentence=f"cpu (cuda not used: {fault.why})")
    for device in ("cuda", "cuda:all"):
        first, second = refused(device, probed=lambda: found)
        assert first == f"--device {device}: cannot work, {fault.why}"
        assert second.startswith(way)
    assert refused("auto", "gpu", lambda: found)[0] == f"--codec gpu: cannot work, {fault.why}"


def test_a_number_that_is_not_there_says_which_are():
    assert refused("cuda:3", probed=on())[0] == "--device cuda:3: cannot work, there is only cuda:0"
    assert "there is cuda:0 to cuda:1" in refused("cuda:2", probed=on(H200, SECOND))[0]


def test_every_way_out_names_what_the_extras_bring():
    known = {*names_of("gpu-cu12"), *names_of("gpu-cu13")}
    for found, _ in FAULTS.values():
        said = way_out(found.fault or found.gpus[0].fault, found)
        assert set(re.findall(r"(?:cupy|nvidia)-[\w-]+", said)) <= {*known, "nvidia-smi"}
    assert devices.extra(Probe()) == "gpu-cu12"


@pytest.mark.parametrize(("extra", "command"), [("gpu-cu12", CU12), ("gpu-cu13", CU13)])
def test_the_command_that_brings_an_extra_names_all_of_it(extra, command):
    assert install_command(extra) == command
    assert re.findall(r"[ '](?=[a-z])([\w-]+)", command)[1:] == names_of(extra)


SAID = (
    "CuPy is not installed", "CuPy does not load", "CuPy cannot keep compiled kernels",
    "are both installed", "there is no NVIDIA driver",
    "the driver is of CUDA",
    "no CUDA device is visible", "NVRTC", "CUDA's headers", "no memory left", "gave other numbers than the CPU",
)  # fmt: skip


def test_the_documentation_tells_every_reason():
    page = (DOCS / "gpu.md").read_text("utf-8")
    assert all(said in page for said in SAID)
    for found, _ in FAULTS.values():
        why = (found.fault or found.gpus[0].fault).why
        assert any(said in why for said in SAID), why
