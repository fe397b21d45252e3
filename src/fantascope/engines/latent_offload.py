"""Puts modules where they compute: all on the device, or, where they do not fit, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from fantascope.errors import ModelError

HEADROOM = 2**30
"""Bytes of a GPU that activations need beside the weights."""


def size_of(modules: Iterable[Any]) -> int:
    """Return the bytes of all parameters and buffers."""
    return sum(tensor.nbytes for module in modules for tensor in module.state_dict().values())


def free_on(device: torch.device) -> int | None:
    """Return the free bytes of a GPU, or None where there is no way or no need to ask."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def verdict(need: int, free: int | None) -> tuple[bool, str]:
    """Say whether to offload modules of `need` bytes with `free` bytes on the device (None: unknown), and why."""
    if free is None or need + HEADROOM <= free:
        return False, f"no offload: the weights ({need / 2**20:.0f} MiB) stay where they compute"
    return True, (
        f"offload: the weights need {need / 2**30:.1f} GiB and {HEADROOM / 2**30:.0f} GiB to work in, the device has "
        f"{free / 2**30:.1f} GiB free; modules take turns on it"
    )


def place_modules(modules: Sequence[Any], device: torch.device, dtype: torch.dtype) -> tuple[list[Any], str]:
    """Move modules to the device or hook them to take turns there.

    Half-precision networks are laid out channels last, which convolutions in half precision are faster in.

    Returns:
        The hooks whose `offload` empties the device again (none without offload), and the reason.
    """
    offload, why = verdict(size_of(modules), free_on(device))
    if dtype != torch.float32:
        for module in modules:
            module.to(memory_format=torch.channels_last)
    if offload:
        return take_turns(modules, device), why
    for module in modules:
        module.to(device)
    return [], why


@contextmanager
def within_memory(device: torch.device) -> Iterator[None]:
    """Turn torch's running out of memory into an error of ours.

    Raises:
        ModelError: the device has less memory than was needed.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The device {device} has not enough memory for this: {str(error).splitlines()[0]}",
            hint="Ask for a smaller size (--width, --height) or for fewer pictures at once (-n).",
        ) from error


def take_turns(modules: Sequence[Any], device: torch.device) -> list[Any]:
    """Hook modules so that each comes to the device when it is called and sends the one before it back."""
    from accelerate import cpu_offload_with_hook

    hooks: list[Any] = []
    for module in modules:
        _, hook = cpu_offload_with_hook(module, device, prev_module_hook=hooks[-1] if hooks else None)
        hooks.append(hook)
    return hooks
