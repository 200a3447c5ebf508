"""Every kernel through NVIDIA's compiler, for three generations of devices; no device is needed for that.

What a kernel takes of a device is held to a limit: one that spills registers into memory, or lets too few threads run
at a time, is slow without being wrong, and nothing else would show it here.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from augpipe.pixels import kernels

MOST_REGISTERS = {"jpeg_blocks": 128}  # threads of 64 values; there are few of them in any case
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
    program = nvrtc.createProgram(kernels.source(), "kernels.cu", (), ())
    # CuPy adds the flag for tiny numbers; the last one makes the assembler talk.
    options = (*kernels.OPTIONS, "-ftz=true", f"-arch={architecture}", "--ptxas-options=-v")
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
    assert sorted(found) == sorted(kernels.NAMES)
    print(architecture, found)
    # A word or two that is put aside once is not slow, and compilers differ in that; a loop that spills is far more.
    assert {name: spilled for name, (spilled, _) in found.items() if spilled > 32} == {}
    too_many = {name: used for name, (_, used) in found.items() if used > MOST_REGISTERS.get(name, 64)}
    assert too_many == {}  # 64 let four blocks of 256 threads run on a multiprocessor
