"""What leaves a DataLoader worker: small tensors in the message, large ones in shared memory, all if that is full."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import nullcontext
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from namespaces import can_mount, mounted
from shard_folder import numbered_folder

import augpipe.train.dataset
from augpipe.train.dataset import collate


@pytest.fixture(autouse=True)
def worker(monkeypatch):
    """This process is a worker."""
    monkeypatch.setattr(augpipe.train.dataset, "get_worker_info", lambda: SimpleNamespace(id=0, num_workers=1))


def test_only_large_tensors_of_targets_leave_a_worker_through_shared_memory() -> None:
    large, small = torch.zeros((2, 256, 256), dtype=torch.uint8), torch.zeros((2, 4))
    _, targets = collate([(small, {"masks": large, "boxes": small, "key": "k"})])
    _, ((sent,),) = targets.__reduce__()
    names, inside, arrays, rest = sent
    assert (names, inside, rest["key"]) == (("masks", "boxes", "key"), ["boxes"], "k")
    assert isinstance(arrays[0], np.ndarray)
    assert rest["masks"].is_shared()


KINDS_OF_VALUES = {
    "half": torch.arange(6).reshape(2, 3).to(torch.bfloat16),
    "none": torch.zeros((0, 4)),
    "scalar": torch.tensor(3),
    "turned": torch.arange(6).reshape(2, 3).T,
    "learned": torch.ones(2, requires_grad=True),
    "array": np.arange(3),
    "key": "k",
}


@pytest.mark.parametrize("full", [False, True])
def test_everything_arrives_as_it_was_also_where_shared_memory_is_full(monkeypatch, full) -> None:
    """torch would lose the batch in a thread of the worker, and the training loop wait for it for ever."""
    image, large = torch.rand((3, 50, 60)), torch.zeros((2, 256, 256), dtype=torch.bool)
    if full:
        monkeypatch.setattr(torch.Tensor, "share_memory_", no_space)
    with pytest.warns(RuntimeWarning, match=SHM_FULL) if full else nullcontext():
        sent = collate([(image, {"masks": large, **KINDS_OF_VALUES})])
    images, (target,) = pickle.loads(ForkingPickler.dumps(sent))
    assert torch.equal(images[0], image)
    assert list(target) == ["masks", *KINDS_OF_VALUES]
    for name, value in {"masks": large, **KINDS_OF_VALUES}.items():
        assert type(target[name]) is type(value)
        assert getattr(target[name], "dtype", None) == getattr(value, "dtype", None)
        assert np.array_equal(plain(target[name]), plain(value)), name


SHM_FULL = r"^shared memory is full \(No space left on device \(28\)\): batches go through a pipe, .* --shm-size=1g$"


def no_space(tensor: torch.Tensor) -> None:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


def plain(value: object) -> object:
    return value.detach().float().numpy() if isinstance(value, torch.Tensor) else value


@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace, which is not allowed here")
@pytest.mark.parametrize("megabytes", [64, 1])
def test_an_epoch_ends_in_a_container_with_little_shared_memory(tmp_path: Path, megabytes: int) -> None:
    folder = numbered_folder(tmp_path / "dst", (5, 0, 7, 1, 6))
    program = f"""
from torch.utils.data import DataLoader
from augpipe.train.dataset import ShardDataset, collate
if __name__ == "__main__":
    big = lambda image, target: (image.new_zeros((3, 512, 512)), target)
    dataset = ShardDataset({str(folder)!r}, transform=big)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    print(sum(len(images) for images, _ in loader))
"""
    (tmp_path / "program.py").write_text(program)
    command = mounted(f"mount -t tmpfs -o size={megabytes}m tmpfs /dev/shm", [sys.executable, tmp_path / "program.py"])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "19\n"), done.stderr
    assert ("shared memory is full" in done.stderr) == (megabytes == 1)
