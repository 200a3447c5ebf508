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


class Boxes(torch.Tensor):
    """As torchvision's are."""


def test_only_large_tensors_leave_a_worker_through_shared_memory() -> None:
    large, small = torch.zeros((2, 256, 256), dtype=torch.uint8), torch.zeros((2, 4))
    boxes = torch.zeros((2, 4)).as_subclass(Boxes)
    images, targets = collate([(small, {"masks": large, "boxes": small, "typed": boxes, "key": "k"})])
    assert (large.is_shared(), small.is_shared(), boxes.is_shared()) == (True, False, True)
    again, (target,) = pickle.loads(ForkingPickler.dumps((images, targets)))
    assert (type(again), type(target), type(target["typed"])) == (list, dict, Boxes)
    assert target["masks"].is_shared()
    assert not target["boxes"].is_shared()


VALUES = {
    "half": torch.arange(6).reshape(2, 3).to(torch.bfloat16),
    "none": torch.zeros((0, 4)),
    "scalar": torch.tensor(3),
    "turned": torch.arange(6).reshape(2, 3).T,
    "learned": torch.ones(2, requires_grad=True),
    "imaginary": torch.tensor([1 + 2j, 3j]).conj(),
    "negative": torch.tensor([1 + 2j]).conj().imag,
    "array": np.arange(3),
    "key": "k",
    "inside": {"list": [torch.zeros((3, 200, 200)), 3], "tuple": (torch.ones(2), "x", None)},
}


def same(one: object, other: object) -> bool:
    """Types, dtypes and values, through all nesting."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one.detach(), other.detach())
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


@pytest.mark.parametrize(
    "image", [torch.rand((3, 150, 160)), torch.rand((3, 5, 6)), np.ones((5, 6, 3)), "a.jpg"], ids=type
)
@pytest.mark.parametrize("full", [False, True])
def test_everything_arrives_as_it_was_also_where_shared_memory_is_full(monkeypatch, full, image) -> None:
    """torch would lose the batch in a thread of the worker, and the training loop wait for it for ever."""
    if full:
        monkeypatch.setattr(torch.Tensor, "share_memory_", no_space)
    expected = [image], [{"masks": torch.zeros((2, 256, 256), dtype=torch.bool), **VALUES}]
    with pytest.warns(RuntimeWarning, match=SHM_FULL) if full else nullcontext():
        sent = collate([(image, {"masks": torch.zeros((2, 256, 256), dtype=torch.bool), **VALUES})])
    assert same(pickle.loads(ForkingPickler.dumps(sent)), expected)


@pytest.mark.filterwarnings("ignore:shared memory takes no more:RuntimeWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_subclass_stays_one_where_shared_memory_is_full(monkeypatch, dtype) -> None:
    """A transform of torchvision in the training loop would otherwise move the picture alone."""
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_space)
    boxes = torch.ones((2, 4), dtype=dtype).as_subclass(Boxes)
    boxes.canvas_size = (11, 17)
    _, (target,) = pickle.loads(ForkingPickler.dumps(collate([(torch.zeros(3), {"boxes": boxes})])))
    assert type(target["boxes"]) is Boxes
    assert (target["boxes"].canvas_size, target["boxes"].dtype) == ((11, 17), dtype)
    assert torch.equal(target["boxes"], boxes)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_a_sparse_tensor_is_left_to_torch() -> None:
    sent = collate([(torch.zeros(3), {"sparse": torch.eye(3).to_sparse()})])
    _, (target,) = pickle.loads(ForkingPickler.dumps(sent))
    assert torch.equal(target["sparse"].to_dense(), torch.eye(3))


def test_too_many_open_files_have_another_way_out(monkeypatch) -> None:
    def refused(tensor: torch.Tensor) -> None:
        raise RuntimeError(
            "unable to open shared memory object </torch_1> in read-write mode: Too many open files (24)"
        )

    monkeypatch.setattr(torch.Tensor, "share_memory_", refused)
    with pytest.warns(RuntimeWarning, match=r"takes no more \(Too many open files \(24\)\): .*; ulimit -n allows more"):
        collate([(torch.zeros((3, 200, 200)), {})])


SHM_FULL = r"takes no more \(No space left on device \(28\)\): batches go through a pipe, .* --shm-size=1g$"


def no_space(tensor: torch.Tensor) -> None:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "19\n"), done.stderr
    assert ("shared memory takes no more" in done.stderr) == (megabytes == 1)
