"""The GPU backend on a CUDA device: CuPy for memory and kernels, nvImageCodec or the CPU for files."""

from __future__ import annotations

from augpipe.core.machine import cores
from augpipe.errors import DeviceError, one_line
from augpipe.pixels.backend import BackendOptions
from augpipe.pixels.batch_codec import BatchCodec, DeviceFirst, HostCodec
from augpipe.pixels.gpu_backend import GpuBackend

_THREADS = 4
"""Of nvImageCodec, which prepares files for the device; not measured on a device yet."""


def on_cuda(index: int, codec: str, options: BackendOptions, sharing: int = 1) -> GpuBackend:
    """The backend.

    Args:
        index: of the CUDA device.
        codec: ``cpu`` or ``nvimgcodec``.
        options: what every backend needs to know.
        sharing: processes that work on this device.

    Raises:
        DeviceError: the device does not work.
    """
    try:
        from augpipe.pixels.gpu import CudaAccelerator

        accelerator = CudaAccelerator(index, sharing)
        files: BatchCodec = HostCodec(accelerator, options)
        if codec == "nvimgcodec":
            from augpipe.pixels.nvimgcodec import DeviceCodec

            own = DeviceCodec(index, options.picture, min(_THREADS, cores()))
            files = DeviceFirst(own, HostCodec(accelerator, options))
        return GpuBackend(accelerator, files, options, accelerator.memory().limit)
    except Exception as error:  # of CuPy, the driver, the compiler of kernels or the codec; no memory, too
        message = f"cuda:{index} does not work: {type(error).__name__}: {one_line(error)}"
        raise DeviceError(f"{message}; augpipe doctor says what there is, --device cpu needs none") from error
