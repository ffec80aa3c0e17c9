# SPDX-License-Identifier: Apache-2.0
"""What a site writes down of each attempt at a round, so that its own auditor can train the round again.

The plan, the nonce, what it was computed on, and a keyed digest of the records: all of it stays at the site. A float
computation gives the same bits only on the same kind of processor with the same instructions, threads and versions.
"""

from __future__ import annotations

import hmac
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from pydantic import BaseModel, ConfigDict, Field

from client.learning.model import device
from client.settings.site_settings import ComputeSection
from privacy.base.canonical import canonical_bytes
from privacy.base.identifiers import Digest, HexBytes
from privacy.base.randomness import SecretSeed
from privacy.protocol.plans import RoundPlan
from privacy.text.reading.records import AnonymizedRecord

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

SWITCHES: Final = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
)
"""Environment variables that choose instructions."""


class Computation(BaseModel):
    """What a round was computed on, as it was at that moment."""

    model_config = STRICT
    device: str
    threads: int = Field(ge=1)
    deterministic: bool
    cpu_capability: str = Field(description="the instructions that torch uses, such as AVX2")
    processor: str
    switches: dict[str, str] = Field(description="environment variables that choose instructions")
    software: dict[str, str]


class Attempt(BaseModel):
    """One attempt at a round of training, written before it begins."""

    model_config = STRICT
    plan: RoundPlan
    nonce: HexBytes
    computation: Computation
    records_digest: Digest


def computation(compute: ComputeSection) -> Computation:
    """What this process computes on now, after `device.prepare`."""
    machine = device.describe(compute)
    return Computation(
        device=machine.device,
        threads=torch.get_num_threads(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        processor=_processor(),
        switches={name: os.environ[name] for name in SWITCHES if name in os.environ},
        software=machine.software,
    )


def _processor() -> str:
    """The processor's name; where the system does not tell it, its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def records_digest(records: Sequence[AnonymizedRecord], site_key: SecretSeed) -> Digest:
    """A digest of what is trained on (ids, anonymized texts, labels, in order), under the site's key."""
    keyed = hmac.new(site_key.derive("attempt-records").expose("digest of the records"), digestmod="sha256")
    for record in records:
        line = canonical_bytes([record.record_id, record.patient_id, record.label, record.text])
        keyed.update(len(line).to_bytes(8, "big") + line)
    return keyed.hexdigest()
