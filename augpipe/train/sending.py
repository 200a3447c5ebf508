"""How batches leave a DataLoader's worker: small tensors in the message, large ones in shared memory.

torch sends every tensor as a file in shared memory, 0.15 ms each, and a target has five or more. If shared memory is
full, it loses the batch in a thread of the worker, and the training loop waits forever; so tensors are moved here, and
what does not fit goes through the pipe.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from augpipe.core.errors import one_line

_SMALL = 1 << 16  # bytes
_T = TypeVar("_T")


def sendable(values: list[_T]) -> list[_T]:
    """The list in a form that can be sent to another process, with nested lists and dicts.

    Tensors without plain memory (sparse ones, say) are left to torch.
    """
    return _Sent(values, _are_shared([tensor for tensor in _tensors_in(values) if _is_for_shared_memory(tensor)]))


def _is_for_shared_memory(tensor: torch.Tensor) -> bool:
    """Whether it is large, or of a subclass, which only torch can send."""
    return tensor.nbytes > _SMALL or type(tensor) is not torch.Tensor


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _tensors_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors_in(inner)


def _are_shared(tensors: Sequence[torch.Tensor]) -> bool:
    """Move tensors into shared memory; False if there is no room or file descriptor for one of them."""
    try:
        for tensor in tensors:
            tensor.share_memory_()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:
        reason = one_line(str(error).rpartition(": ")[2], 80)
        full = os.strerror(errno.ENOSPC) in str(error)
        way = "in a container, give it more with docker run --shm-size=1g" if full else "ulimit -n allows more files"
        warnings.warn(
            f"shared memory takes no more ({reason}): batches go through a pipe, which is slower; {way}",
            RuntimeWarning,
            stacklevel=4,
        )
        return False
    return True


class _Sent(list[_T]):
    """A list that is pickled with its tensors in the message, except those in shared memory."""

    def __init__(self, values: Sequence[_T], shared: bool) -> None:
        super().__init__(values)
        self._shared = shared

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (_packed(list(self), self._shared),)


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A tensor in a message: a NumPy array, dtype and shape if NumPy has no such dtype, subclass and its attributes."""

    array: Any
    dtype: torch.dtype | None = None
    shape: tuple[int, ...] = ()
    kind: tuple[type[torch.Tensor], dict[str, Any]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.kind is not None:
            return _Bytes, (self.array, self.dtype, self.shape, self.kind)
        return _Bytes, (self.array,) if self.dtype is None else (self.array, self.dtype, self.shape)


def _packed(value: Any, shared: bool) -> Any:
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or (shared and _is_for_shared_memory(value)):
            return value
        kind = None if type(value) is torch.Tensor else (type(value), dict(value.__dict__))
        return _bytes_of(value.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg(), kind)
    if type(value) is dict:
        return {name: _packed(inner, shared) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_packed(inner, shared) for inner in value)
    return value


def _bytes_of(tensor: torch.Tensor, kind: tuple[type[torch.Tensor], dict[str, Any]] | None) -> _Bytes:
    try:
        return _Bytes(tensor.numpy(), kind=kind)
    except TypeError:  # a dtype that NumPy does not have
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        return _Bytes(flat.numpy(), tensor.dtype, tuple(tensor.shape), kind)


def _received(value: Any) -> Any:
    if isinstance(value, _Bytes):
        tensor = torch.from_numpy(value.array)
        if value.dtype is not None:
            tensor = tensor.view(value.dtype).reshape(value.shape)
        if value.kind is not None:
            tensor = tensor.as_subclass(value.kind[0])
            tensor.__dict__.update(value.kind[1])
        return tensor
    if type(value) is dict:
        return {name: _received(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_received(inner) for inner in value)
    return value
