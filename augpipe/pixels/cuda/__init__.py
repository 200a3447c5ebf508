"""Pixels on a CUDA device: what works there, kernels, batches, the codec of the device."""
