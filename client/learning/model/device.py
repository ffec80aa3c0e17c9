# SPDX-License-Identifier: Apache-2.0
"""What a site computes on: the one place where device, threads and determinism are set, and what a record says of it.

The same device, threads and versions give the same bits; another number of threads gives another model in the last
bits. 32-bit floats stay 32-bit: TF32 is off.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import torch

from client.settings.site_settings import ComputeSection
from privacy.base.canonical import digest_of
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest

LIBRARIES: Final = ("numpy", "opacus", "presidio-analyzer", "safetensors", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Machine:
    """What a site says it runs on. `digest` covers all of it."""

    device: str
    threads: int
    deterministic: bool
    software: dict[str, str]

    @property
    def digest(self) -> Digest:
        return digest_of(
            {
                "device": self.device,
                "threads": self.threads,
                "deterministic": self.deterministic,
                "software": self.software,
            }
        )


def choose(compute: ComputeSection) -> torch.device:
    """The device that the settings name. Raises SettingsError if it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if compute.device == "auto":
        return torch.device(next(name for name, present in there.items() if present))
    if not there[compute.device]:
        raise SettingsError(
            f"compute.device is {compute.device}, which this machine does not have",
            next_step=f"set it to auto, or to one of {', '.join(name for name, present in there.items() if present)}",
        )
    return torch.device(compute.device)


def prepare(compute: ComputeSection) -> torch.device:
    """Set threads and determinism for this process and return the device. Call it before any computation."""
    chosen = choose(compute)
    torch.set_num_threads(compute.threads)
    if chosen.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it before it is deterministic
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    return chosen


def describe(compute: ComputeSection) -> Machine:
    """What `prepare(compute)` runs on. A GPU is told by its kind, never by a serial number."""
    chosen = choose(compute)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else platform.machine()
    software = {library.replace("-", "_"): version(library) for library in LIBRARIES}
    software["python"] = platform.python_version()
    return Machine(f"{chosen.type} {name}", compute.threads, True, software)
