"""Every kernel through NVIDIA's compiler, for three generations of devices; no device is needed for that.

What a kernel takes of a device is held to a limit: one that spills registers into memory, or lets too few threads run
at a time, is slow without being wrong, and nothing else would show it here.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sysconfig
import venv
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from installing import ROOT
from namespaces import can_mount, mounted

from augpipe.pixels.cuda import kernel_source

# Threads of 64 values, of which there are few in any case; and for sm_75 alone a dozen registers more than elsewhere.
MOST_REGISTERS = {"jpeg_blocks": 128, "impulses": 80}
REPORT = re.compile(
    r"entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers", re.S
)


@cache
def report(architecture):
    """What the compiler says of each kernel: {name: (bytes spilled, registers)}."""
    nvrtc = pytest.importorskip("cupy", reason="needs cupy, which is not installed").cuda.nvrtc
    try:
        nvrtc.getVersion()
    except Exception as error:  # cupy's own class, which cannot be named without it
        pytest.skip(f"needs NVRTC, which is not installed ({type(error).__name__})")
    program = nvrtc.createProgram(kernel_source.source(), "kernels.cu", (), ())
    # CuPy adds the flag for tiny numbers; the last one makes the assembler talk.
    options = (*kernel_source.OPTIONS, "-ftz=true", f"-arch={architecture}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    assert len(nvrtc.getCUBIN(program)) > 10_000
    found = REPORT.findall(nvrtc.getProgramLog(program))
    return {name: (int(stores) + int(loads), int(registers)) for name, stores, loads, registers in found}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_kernels_compile_and_fit(architecture, record_property):
    found = report(architecture)
    record_property(architecture, str(found))
    assert sorted(found) == sorted(kernel_source.names())
    print(architecture, found)
    # A word or two that is put aside once is not slow, and compilers differ in that; a loop that spills is far more.
    assert {name: spilled for name, (spilled, _) in found.items() if spilled > 32} == {}
    too_many = {name: used for name, (_, used) in found.items() if used > MOST_REGISTERS.get(name, 64)}
    assert too_many == {}  # 64 let four blocks of 256 threads run on a multiprocessor


HEADERS = """
from augpipe.pixels.cuda.probe import _headers
from cupy._core.core import assemble_cupy_compiler_options
print(_headers())
print(assemble_cupy_compiler_options(("--std=c++17",)))
"""


def environment_with(folder: Path, names: set[str], home: Path) -> Path:
    """The Python of an environment that has these packages of a folder, and what they need from this one."""
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (site / "nvidia").mkdir()
    for entry in folder.iterdir():
        if entry.name != "nvidia":
            (site / entry.name).symlink_to(entry)
    for name in names:
        (site / "nvidia" / name).symlink_to(folder / "nvidia" / name)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n" + str(ROOT) + "\n")
    return home / "bin" / "python"


def without_a_toolkit(python: Path) -> subprocess.CompletedProcess[str]:
    """What CuPy finds on a machine that has no CUDA toolkit."""
    toolkits = {os.path.realpath(found) for found in glob.glob("/usr/local/cuda*") + glob.glob("/opt/cuda*")}
    hide = " && ".join(f"mount -t tmpfs tmpfs {found}" for found in sorted(toolkits)) or "true"
    environment = {k: v for k, v in os.environ.items() if k not in ("CUDA_PATH", "CUDA_HOME", "PYTHONPATH")}
    command = mounted(hide, [python, "-c", HEADERS])
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace, which is not allowed here")
def test_the_extra_brings_the_headers_that_every_kernel_includes(tmp_path):
    """CuPy 14 has none of its own, which shows only where no toolkit is installed."""
    folder = Path(find_spec("cupy").origin).parent.parent
    done = without_a_toolkit(environment_with(folder, {"cuda_nvrtc", "cuda_runtime"}, tmp_path / "extra"))
    assert done.returncode == 0, done.stderr
    found, options = done.stdout.splitlines()
    assert Path(found, "cuda_runtime.h").is_file()
    assert f"-I{found}" in options
    done = without_a_toolkit(environment_with(folder, {"cuda_nvrtc"}, tmp_path / "before"))
    assert done.stdout == "None\n"
    assert "Failed to find CUDA headers" in done.stderr
