"""Every way in which CUDA cannot work has a sentence of its own; and this process never starts it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import fake_cuda
import pytest
from fake_cuda import CUDARuntimeError, cupy, fails, fused_kernel, with_driver
from places import HELPERS

from augpipe.pixels.cuda import probe
from augpipe.pixels.cuda.probe import ProbeFault, examined, kernel_fault


class DynamicLibNotFoundError(RuntimeError):
    pass


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """With a driver, one build of each package, and no codec."""
    with_driver(monkeypatch)
    monkeypatch.setattr(probe, "_version", lambda package: None)
    monkeypatch.setattr(probe, "_nvimgcodec", lambda: None)
    monkeypatch.setattr(probe, "_codec_fault", lambda cupy, index: None)


def test_a_device_that_works_is_told_with_its_name():
    found = examined(lambda: cupy(devices=2))
    assert found.fault is None
    assert [(gpu.index, gpu.name, gpu.memory, gpu.capability, gpu.fault) for gpu in found.gpus] == [
        (0, "Fake 0", 8 << 30, "9.0", None),
        (1, "Fake 1", 8 << 30, "9.0", None),
    ]
    assert (found.cupy, found.runtime, found.nvrtc, found.cuda) == ("14.2.0", 12090, "12.9", 12080)


def test_the_numbers_of_the_kernel_are_those_of_numpy_and_a_fused_one_is_found_out():
    assert kernel_fault(cupy(), 0) is None
    assert kernel_fault(cupy(kernel=fused_kernel), 0) == ProbeFault(
        "mismatch", "a probe kernel gave other numbers than the CPU"
    )
    assert kernel_fault(cupy(kernel=lambda *call: None), 0).code == "mismatch"


@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (DynamicLibNotFoundError('Failure finding "libnvrtc.so.12"'), "no-nvrtc", "NVRTC, which compiles"),
        (
            Exception("nvrtc: error: invalid value for --gpu-architecture (-arch)"),
            "probe",
            "invalid value for --gpu-arch",
        ),
        (RuntimeError("Failed to find CUDA headers. Please install …"), "no-headers", "CUDA's headers, which every"),
        (MemoryError("out of memory"), "no-memory", "no memory left"),
        (CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory"), "no-memory", "no memory left"),
        (RuntimeError("cudaErrorIllegalAddress"), "probe", "a probe kernel failed: cudaErrorIllegalAddress"),
    ],
)
def test_a_kernel_that_does_not_run_has_its_reason(error, code, why):
    fault = kernel_fault(cupy(kernel=fails(error)), 0)
    assert fault.code == code
    assert why in fault.why


@pytest.mark.parametrize(
    ("driver", "status", "code", "why"),
    [
        (None, 35, "no-driver", "there is no NVIDIA driver"),
        (0, 35, "no-driver", "there is no NVIDIA driver"),
        (11040, 35, "old-driver", "the driver is of CUDA 11.4; CuPy was built with 12.9"),
        (12080, 100, "no-device", "no CUDA device is visible"),
        (12080, 802, "probe", "the driver does not answer: cudaErrorSomething"),
    ],
)
def test_devices_that_cannot_be_counted_have_their_reason(monkeypatch, driver, status, code, why):
    with_driver(monkeypatch, driver)
    module = cupy(getDeviceCount=fails(CUDARuntimeError(status, "cudaErrorSomething")))
    assert examined(lambda: module).fault == ProbeFault(code, why)


def test_no_device_is_not_an_empty_list():
    assert examined(lambda: cupy(devices=0)).fault == ProbeFault("no-device", "no CUDA device is visible")


def test_without_nvrtc_no_device_works_but_is_told_all_the_same():
    module = cupy()
    module.cuda.nvrtc.getVersion = fails(DynamicLibNotFoundError("libnvrtc"))
    found = examined(lambda: module)
    assert found.nvrtc is None
    assert found.gpus[0].name == "Fake 0"
    assert found.gpus[0].fault.code == "no-nvrtc"


def test_a_cupy_that_does_not_load_is_said_in_one_line():
    found = examined(fails(ImportError("libcublas.so.12:\n  cannot open")))
    assert found.fault.code == "broken-cupy"
    assert "\n" not in found.fault.why


def test_a_folder_that_cupy_cannot_make_is_no_fault_of_cupy(tmp_path):
    """It wants one for compiled kernels in the home of the user, who in a container may have none."""
    (tmp_path / "file").touch()
    found = examined(lambda: os.makedirs(tmp_path / "file" / ".cupy"))
    assert found.fault.code == "no-folder"
    assert f"{tmp_path}/file/.cupy" in found.fault.why


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_itself_in_a_home_that_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "file" / "kernels"))
    assert probe.probe().fault.code == "no-folder"
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "kernels"))
    assert probe.probe().fault.code != "no-folder"


# --- from the outside ------------------------------------------------------------------------------------------------


def test_two_builds_of_a_package_are_found_before_anything_is_imported(monkeypatch):
    monkeypatch.setattr(
        probe, "_version", lambda package: "14.2.0" if package in ("cupy-cuda12x", "cupy-cuda13x") else None
    )
    monkeypatch.setattr(probe.subprocess, "run", fails(AssertionError("no process")))
    assert probe.probe().fault == ProbeFault(
        "two-builds", "cupy-cuda12x and cupy-cuda13x are both installed, and overwrite each other"
    )
    other = ("nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13")
    monkeypatch.setattr(probe, "_version", lambda package: "0.9" if package in other else None)
    assert probe.probe().fault.code == "two-builds"


def package(folder: Path, text: str, monkeypatch) -> None:
    """A module ``cupy`` that comes before any other."""
    (folder / "cupy.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))


def test_without_cupy_no_process_is_started(monkeypatch):
    monkeypatch.setattr(probe, "find_spec", lambda name: None)
    monkeypatch.setattr(probe.subprocess, "run", fails(AssertionError("no process")))
    assert probe.probe().fault == ProbeFault("no-cupy", "CuPy is not installed")


FAKE = """
import sys
sys.path.insert(0, {tests!r})
import fake_cuda
from augpipe.pixels.cuda import probe
probe._driver_cuda = lambda: 12080
probe._codec_fault = lambda cupy, index: None
globals().update(vars(fake_cuda.cupy()))
print("CuPy says hello")
"""


def test_what_the_process_finds_comes_back_whole(tmp_path, monkeypatch):
    package(tmp_path, FAKE.format(tests=str(HELPERS)), monkeypatch)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)  # another test of this process may have wanted the real one
    found = probe.probe()
    here = examined(fake_cuda.cupy)
    assert asdict(found)["gpus"] == asdict(here)["gpus"]
    assert (found.fault, found.cupy, found.nvrtc) == (None, "14.2.0", "12.9")
    assert "cupy" not in sys.modules


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os; os.abort()", "a probe ended by signal 6"),
        ("import sys; sys.stderr.write('no\\n'); import os; os._exit(3)", "a probe ended with 3: no"),
        ("raise ImportError('libcublas is missing')", "CuPy does not load: libcublas is missing"),
        ("raise SystemExit(4)", "a probe ended with 4"),
    ],
)
def test_a_crash_of_the_driver_is_the_end_of_the_probe_alone(tmp_path, monkeypatch, text, why):
    package(tmp_path, text, monkeypatch)
    assert probe.probe().fault.why.startswith(why)


def test_a_driver_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    package(tmp_path, "import time; time.sleep(60)", monkeypatch)
    assert probe.probe(seconds=0.5).fault == ProbeFault("probe", "a probe did not end within 0 seconds")


def test_nothing_is_imported_from_the_current_folder(tmp_path, monkeypatch):
    """A dataset may hold a file of any name."""
    trap = tmp_path / "ran"
    for name in ("cupy", "ctypes", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trap)!r}, 'w')")
    away = tmp_path / "away"
    away.mkdir()
    package(away, "raise ImportError('the right one')", monkeypatch)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", ".")])
    monkeypatch.chdir(tmp_path)
    assert probe.probe().fault.why == "CuPy does not load: the right one"
    assert not trap.exists()


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a driver here")
def test_with_cupy_and_no_driver_that_is_what_is_said(monkeypatch):
    monkeypatch.undo()
    found = probe.probe()
    assert found.fault == ProbeFault("no-driver", "there is no NVIDIA driver")
    assert found.cupy
    assert found.gpus == ()


def test_the_version_of_the_driver_is_read_where_the_system_tells_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    path = tmp_path / "version"
    path.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\nGCC version: 11.4.0\n")
    assert probe._driver(str(path)) == "570.86.15"
    path.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n")
    assert probe._driver(str(path)) == "580.95.05"
    monkeypatch.setattr(probe, "_driver_cuda", lambda: 12040)
    assert probe._driver(str(tmp_path / "none")) == "CUDA 12.4"
    monkeypatch.setattr(probe, "_driver_cuda", lambda: None)
    assert probe._driver(str(tmp_path / "none")) is None
