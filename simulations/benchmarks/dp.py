# SPDX-License-Identifier: Apache-2.0
"""What private training costs beside ordinary training of the same scope -> out/bench-dp.json.

A gradient is one forward and backward pass over a physical batch of 32 invented rows, with clipping and the weighted
sum in the private variants; a step is noise, division and AdamW. Variants are interleaved on the same cores; a ratio is
that of the medians of wall time, with that of CPU seconds beside it. Memory is each variant's peak in a process of its
own, above what it had after the imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from client.learning.model.model import build
from client.learning.model.pretrained import load_packaged
from client.learning.training.schedule import StepsOfRun
from client.learning.training.training import build_optimizer
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import clipping
from privacy.dp.draws import RowDraws, tags_by_place, using
from privacy.dp.params import PrivacyParams
from privacy.dp.training import SeededDPOptimizer
from privacy.protocol.plans import TrainingPlan
from simulations.benchmarks.report import ROOT, Row, write_report

BATCH = 32
LOGICAL = 256
PLAIN, OURS, GHOST, HOOKS = "plain", "bookkeeping", "ghost", "hooks"


def high_water() -> float:
    """MB that this process held at the most so far (VmHWM: unlike ru_maxrss it starts anew with a program)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


@dataclass(frozen=True)
class ScopeAtLength:
    """A scope at a length; `layers` counts trained or adapted ones from the top, 0 for all."""

    scope: str
    layers: int
    tokens: int

    def plan(self) -> TrainingPlan:
        """The training plan of the case."""
        rank, alpha = (8, 16) if self.scope == "lora" else (0, 0)
        return TrainingPlan(
            scope=self.scope,  # type: ignore[arg-type]
            top_layers=self.layers,
            lora_rank=rank,
            lora_alpha=alpha,
            optimizer="adamw",
            learning_rate="0.0001",
            head_learning_rate="0.001",
            momentum="0",
            weight_decay="0",
            dropout="0.1",
            physical_batch_size=BATCH,
        )


class GradientBench:
    """One network with a batch, and the gradient of each variant on it."""

    def __init__(self, case: ScopeAtLength) -> None:
        torch.manual_seed(1)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.case, self.device = case, device
        model = build(load_packaged(), case.plan(), {"text": 4}, PublicSeed(bytes(32)), device)
        self.network: nn.Module = model.trainable.train()
        self.heads = model.trainable.head_parameters()
        drawn = torch.Generator().manual_seed(2)
        ids = torch.randint(1000, 30000, (BATCH, case.tokens), generator=drawn)
        places = torch.arange(case.tokens).repeat(BATCH, 1)
        inputs = {"input_ids": ids, "position_ids": places, "token_type_ids": torch.zeros_like(ids)}
        if model.entry == "hidden":
            inputs = {"hidden": torch.randn(BATCH, case.tokens, model.hidden_size, generator=drawn)}
        inputs["mask"] = torch.ones(BATCH, case.tokens, dtype=torch.bool)
        self.batch: Mapping[str, Tensor] = {name: one.to(device) for name, one in inputs.items()}
        self.targets = torch.randint(0, 4, (BATCH,), generator=drawn).to(device)
        self.draws = RowDraws(SecretSeed(bytes(32)), [[row] for row in range(BATCH)], tags_by_place(BATCH))
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]

    def losses(self) -> Tensor:
        """One loss a row."""
        with using(self.draws.of(0, range(BATCH))):
            return self._losses()

    def _losses(self) -> Tensor:
        return nn.functional.cross_entropy(self.network(self.batch)["text"], self.targets, reduction="none")

    def gradient(self, variant: str) -> Callable[[], object]:
        """Computes one gradient; a clipper stays attached between calls, as in training."""
        if variant == PLAIN:

            def plain() -> None:
                self.network.zero_grad(set_to_none=True)
                torch.autograd.backward(self.losses().sum())

            return plain
        clipper = clipping.attach(variant, self.network, 1.0)

        def private() -> list[Tensor]:
            clipper.accumulate(self.losses, BATCH)
            return clipper.clipped_sum()

        return private

    def optimizer(self) -> SeededDPOptimizer:
        """The private step of the case's plan, noise included."""
        params = PrivacyParams(
            sample_rate="0.1",
            noise_multiplier="1",
            max_grad_norm="1",
            target_epsilon="8",
            target_delta="0.00001",
            num_steps=1,
            unit="record",
        )
        make = build_optimizer(self.case.plan(), self.heads, StepsOfRun(0, 1))
        return SeededDPOptimizer(make(self.parameters), params, LOGICAL, SecretSeed(bytes(range(32))))


@dataclass(frozen=True)
class Times:
    """Wall and CPU seconds of each repeat."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


def interleaved(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Every variant once a repeat, after one that is not counted."""
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            began, used = time.perf_counter(), time.process_time()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - used)
    return {name: Times(tuple(wall[name]), tuple(cpu[name])) for name in runs}


def gradients(case: ScopeAtLength, variants: Sequence[str], repeats: int) -> dict[str, Times]:
    """The times of a gradient; each variant has a network of its own, so that no hook slows another."""
    return interleaved({variant: GradientBench(case).gradient(variant) for variant in variants}, repeats)


def ratio_row(name: str, times: Mapping[str, Times], of: str, to: str, reach: str, note: str) -> Row:
    """How many times as fast `to` is as `of`: seconds of `of` over those of `to`, with each repeat's as spread."""
    each = [a / b for a, b in zip(times[of].wall, times[to].wall, strict=True)]
    value = median(times[of].wall) / median(times[to].wall)
    beside = {
        "cpu_seconds_ratio": round(median(times[of].cpu) / median(times[to].cpu), 4),
        "examples_a_second": round(BATCH / median(times[to].wall), 2),
    }
    unit = "x non-private" if of == PLAIN else f"x {of}"
    return Row(name, round(value, 4), unit, reach, (min(each), max(each)), len(each), beside, note)


def step_row(case: ScopeAtLength, gradient_seconds: float, repeats: int) -> Row:
    """The share of noise and optimizer in a full step at the logical batch."""
    bench = GradientBench(case)
    sums = [torch.zeros_like(p) for p in bench.parameters]
    optimizer = bench.optimizer()
    times = interleaved({"step": lambda: optimizer.release(bench.parameters, sums)}, repeats)["step"]
    seconds = median(times.wall)
    share = seconds / (seconds + gradient_seconds * LOGICAL / BATCH)
    values = sum(p.numel() for p in bench.parameters)
    beside = {"step_seconds": round(seconds, 4), "parameters": values}
    note = f"full, {case.tokens} tokens, logical batch {LOGICAL}: noise, division, AdamW"
    return Row("noise_step_share", round(share, 4), "share of a step", "<= 0.05", None, len(times.wall), beside, note)


def peak(variant: str, tokens: int) -> float:
    """MB that two gradients take at the most above the imports, in a process of their own."""
    command = [sys.executable, "-m", "simulations.benchmarks.dp", "--peak-of", variant, "--tokens", str(tokens)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(answer.stdout)["megabytes"])


def memory_row(tokens: int, variants: Sequence[str]) -> Row:
    """Peak memory to that of plain training."""
    peaks = {variant: peak(variant, tokens) for variant in (PLAIN, *variants)}
    beside = {f"{variant}_mb": round(megabytes, 1) for variant, megabytes in peaks.items()}
    note = f"full, {tokens} tokens, batch {BATCH}, above the imports"
    return Row(
        "full_memory_ratio", round(peaks[OURS] / peaks[PLAIN], 4), "x non-private", "<= 1.15", None, 1, beside, note
    )


def bf16_row(case: ScopeAtLength, repeats: int) -> Row:
    """Speed under autocast and how far norms move, where the processor has bf16 instructions; else the reason."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = "full_t64_bf16_ratio"
    if not (torch.cuda.is_available() or "bf16" in flags):
        return Row(name, None, "x non-private", n=0, note="this processor has no bf16 instructions")
    bench, device = GradientBench(case), "cuda" if torch.cuda.is_available() else "cpu"
    bench.network.eval()  # no dropout: the same pass twice

    def under(on: bool) -> Tensor:
        clipper = clipping.attach(OURS, bench.network, 1.0)
        with torch.autocast(device, dtype=torch.bfloat16) if on else nullcontext():
            _, norms = clipper.accumulate(bench.losses, BATCH)
        clipper.close()
        return norms

    def auto(run: Callable[[], object]) -> Callable[[], None]:
        def cast() -> None:
            with torch.autocast(device, dtype=torch.bfloat16):
                run()

        return cast

    error = float(((under(True) - under(False)).abs() / under(False)).max())
    runs = {variant: auto(GradientBench(case).gradient(variant)) for variant in (PLAIN, OURS)}
    row = ratio_row(name, interleaved(runs, repeats), PLAIN, OURS, "", "autocast, both variants")
    return Row(row.name, row.value, row.unit, "", row.spread, row.n, {**row.beside, "norm_error": error}, row.note)


def measure(repeats: int, short: int, long: int) -> list[Row]:
    """Every figure."""
    full = ScopeAtLength("full", 0, short)
    times = gradients(full, (PLAIN, OURS, GHOST, HOOKS), repeats)
    how = f"fp32, batch {BATCH}, forward, backward and clip, interleaved"
    rows = [
        ratio_row("full_t64_ratio", times, PLAIN, OURS, ">= 0.92", f"{short} tokens, {how}"),
        ratio_row("to_ghost", times, GHOST, OURS, ">= 1.6", f"full, {short} tokens, {how}"),
        ratio_row("to_hooks", times, HOOKS, OURS, ">= 4", f"full, {short} tokens, {how}"),
    ]
    for name, case, reach in (
        ("full_t128_ratio", ScopeAtLength("full", 0, long), ">= 0.88"),
        ("lora_ratio", ScopeAtLength("lora", 0, short), ">= 0.97"),
        ("top2_ratio", ScopeAtLength("top", 2, short), ">= 0.97"),
    ):
        of_case = gradients(case, (PLAIN, OURS), repeats)
        rows.append(ratio_row(name, of_case, PLAIN, OURS, reach, f"{case.scope}, {case.tokens} tokens, {how}"))
    rows.append(step_row(full, median(times[OURS].wall), repeats))
    rows.append(memory_row(long, (OURS, GHOST)))
    rows.append(bf16_row(full, repeats))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--quick", action="store_true", help="one repeat of short rows: holds the form, measures nothing"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, default=128, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.peak_of:
        imported = high_water()
        run = GradientBench(ScopeAtLength("full", 0, given.tokens)).gradient(given.peak_of)
        for _ in range(2):
            run()
        print(json.dumps({"megabytes": high_water() - imported}))
        return 0
    began = time.monotonic()
    rows = measure(1, 8, 16) if given.quick else measure(given.repeats, 64, 128)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    write_report("dp", rows, seconds=time.monotonic() - began, quick=given.quick, gpu=gpu, out=given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
