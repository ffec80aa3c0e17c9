# SPDX-License-Identifier: Apache-2.0
"""Whether the same text comes out the same: again, on another instruction set, with other threads, text by text.

Each run is a process of its own over the same sample (generated notes, and a part of the labelled sets where they are):
it answers with a digest of the anonymized texts and with offsets, never with text. ATEN_CPU_CAPABILITY chooses the
instruction set of torch's kernels; one that this CPU has not got is not tried, since it would end in an illegal
instruction. Spans that differ are those that one run replaced and the other did not, in both directions.

    python -m simulations.benchmarks.determinism JSON    (a run: what it answers is one line of JSON)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simulations.benchmarks.report import Row

CAPABILITIES: Mapping[str, frozenset[str]] = {
    "default": frozenset(),
    "avx2": frozenset({"avx2", "fma"}),
    "avx512": frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"}),
}
"""The values of ATEN_CPU_CAPABILITY, and the CPU flags that each needs."""
_KNOBS = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA")


@dataclass(frozen=True)
class TextSample:
    """What a run anonymizes, and how: `notes` generated notes, and every `step`-th of quick's labelled documents."""

    names: str
    seed: int
    notes: int
    data: str
    dev: bool
    step: int
    one_by_one: bool = False


@dataclass(frozen=True)
class RunResult:
    """What a run answered."""

    digest: str
    spans: frozenset[tuple[int, int, int, str]]
    capability: str
    written: str = "tags"

    def differ(self, other: RunResult) -> int:
        """Spans that only one of the two has."""
        return len(self.spans ^ other.spans)


# -- the process of a run ---------------------------------------------------------------------------------------------


def answer(sample: TextSample) -> dict[str, object]:
    """Anonymize the sample in this process."""
    import torch

    from privacy.base.identifiers import sha256
    from privacy.text.anonymize import Anonymizer
    from privacy.text.find import engines
    from privacy.text.reading.records import TextRow
    from simulations.benchmarks.settings_used import with_surrogates

    settings, key = with_surrogates(sample.names)
    anonymizer = Anonymizer(engines.load(settings), settings, **key)
    rows = [TextRow(str(number), text, None, None) for number, text in enumerate(_texts(sample))]
    parts = [[row] for row in rows] if sample.one_by_one else [rows]
    records = [record for part in parts for record in anonymizer.run(part)[0]]
    spans = [(int(r.record_id), f.start, f.end, f.entity_type) for r in records for f in r.findings]
    digest = sha256(json.dumps([(record.record_id, record.text) for record in records]).encode())
    capability, written = torch.backends.cpu.get_cpu_capability(), "surrogates under one key" if key else "tags"
    return {"digest": digest, "spans": spans, "capability": capability, "written": written}


def _texts(sample: TextSample) -> list[str]:
    from simulations.benchmarks import hipaa
    from simulations.benchmarks.quality import SETS

    texts = [one.text for one in hipaa.note_documents(sample.seed, sample.notes)]
    for one in SETS:
        documents = one.documents(Path(sample.data), dev=sample.dev, quick=True)
        texts += [document.text for document in (documents or [])[:: sample.step]]
    return texts


# -- the runs ---------------------------------------------------------------------------------------------------------


def run(sample: TextSample, **environment: str) -> RunResult:
    """A run in a process of its own, with nothing but `environment` chosen for it."""
    inherited = {name: value for name, value in os.environ.items() if name not in _KNOBS}
    command = [sys.executable, "-m", "simulations.benchmarks.determinism", json.dumps(asdict(sample))]
    done = subprocess.run(command, env=inherited | environment, stdout=subprocess.PIPE, text=True, check=True)
    answered = json.loads(done.stdout.splitlines()[-1])
    return RunResult(
        answered["digest"], frozenset(map(tuple, answered["spans"])), answered["capability"], answered["written"]
    )


def cpu_flags() -> frozenset[str]:
    """What this CPU can do, as /proc/cpuinfo says; nothing where there is no such file."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), ()))


def possible(flags: frozenset[str]) -> list[str]:
    """The instruction sets that a CPU with these flags can be asked for."""
    return [name for name, needed in CAPABILITIES.items() if needed <= flags]


def steadiness_rows(sample: TextSample, *, quick: bool) -> list[Row]:
    """`repeat_identical`, `capability_spans_differ` and `arrangement_spans_differ`."""
    first, again = run(sample), run(sample)
    same = int(first.digest == again.digest and first.spans == again.spans)
    note = f"the sample in two processes, {first.written}: sha256 {first.digest[:16]}, {again.digest[:16]}"
    rows = [Row("repeat_identical", same, "1 if equal", "1", n=2, beside={"spans": len(first.spans)}, note=note)]
    return [*rows, _capabilities(sample, first), _arrangements(sample, first, quick)]


def absent(reason: str) -> list[Row]:
    """The rows where nothing can be run."""
    names = {"repeat_identical": "1", "capability_spans_differ": "0", "arrangement_spans_differ": "0"}
    return [Row(name, None, "", reach, n=0, note=f"not measured: {reason}") for name, reach in names.items()]


def _capabilities(sample: TextSample, first: RunResult) -> Row:
    able = possible(cpu_flags())
    missing = [name for name in CAPABILITIES if name not in able]
    runs = {name: first if first.capability == name.upper() else run(sample, ATEN_CPU_CAPABILITY=name) for name in able}
    differ: dict[str, float] = {name: one.differ(first) for name, one in runs.items()}
    took = ", ".join(f"{name} ran as {one.capability}" for name, one in runs.items())
    note = f"spans that differ from a run with nothing set ({first.capability}); {took}"
    if missing:
        note = f"not measured: this CPU has no {' or '.join(missing)}; the others stand beside; {note}"
    value = None if missing else max(differ.values())
    beside = differ | {"spans": len(first.spans)}
    return Row("capability_spans_differ", value, "spans", "0", n=len(able), beside=beside, note=note)


def _arrangements(sample: TextSample, first: RunResult, quick: bool) -> Row:
    """Two threads, each text alone, and matrix products by the oldest kernels (another order of sums)."""
    name, note = (
        "arrangement_spans_differ",
        "the most spans that differ with two threads, text by text, or with oneDNN's and MKL's oldest kernels",
    )
    if quick:
        return Row(name, None, "spans", "0", n=0, note="not measured: a quick run rearranges nothing")
    alone = TextSample(**(asdict(sample) | {"one_by_one": True}))
    differ: dict[str, float] = {
        "threads_2": run(sample, OMP_NUM_THREADS="2").differ(first),
        "one_by_one": run(alone).differ(first),
        "old_kernels": run(sample, ONEDNN_MAX_CPU_ISA="SSE41", MKL_CBWR="COMPATIBLE").differ(first),
    }
    return Row(name, max(differ.values()), "spans", "0", n=len(differ), beside=differ, note=note)


def main(arguments: Sequence[str]) -> int:
    """A run, for a process of its own."""
    print(json.dumps(answer(TextSample(**json.loads(arguments[0])))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
