# SPDX-License-Identifier: Apache-2.0
"""Train the built-in name model anew on several seeds, and its student -> out/ner/*.safetensors, out/bench-ner.json.

Each trained file is kept, so an interrupted run goes on with the next one. Models are measured within the product's own
engine on invented notes (templates never trained on) and, where the shared data is there, on the development splits of
real and synthetic text; test splits are not touched. The packaged weights stand beside. `--package` copies the first
seed's files into the package and prints the digests that go into privacy/text/find/tagger/weights/__init__.py.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from privacy.base.errors import CollabError
from privacy.base.identifiers import sha256_file
from privacy.text.anonymize import Anonymizer
from privacy.text.find.engines.presidio import build
from privacy.text.find.ner import builtin
from privacy.text.find.tagger import weights
from privacy.text.find.tagger.network import Backbone, Classifier, load_backbone
from privacy.text.reading.records import TextRow
from simulations.benchmarks import hipaa, spans
from simulations.benchmarks.name_model import distillation, training
from simulations.benchmarks.quality import SETS
from simulations.benchmarks.report import ROOT, Row, of_repeats, write_report
from simulations.benchmarks.settings_used import settings_of
from simulations.benchmarks.spans import Document, SpanMeasure, of_types

PACKAGE = ROOT / "privacy" / "text" / "find" / "tagger" / "weights"
NOTES = 150
EVERY = {"presidio_synth": 3, "wnut17": 2, "ncbi_disease": 3, "mtsamples": 6}
"""Every nth row of a development split is read: enough for half a point, and minutes are saved."""

FIGURES: Mapping[str, Mapping[str, SpanMeasure]] = {
    "notes": {
        "names_masked": lambda d, f: spans.spans_masked(d, f, lambda gold: gold.type in hipaa.SLOTS_OF["PERSON"]),
        "places_masked": lambda d, f: spans.spans_masked(d, f, lambda gold: gold.type in hipaa.SLOTS_OF["LOCATION"]),
    },
    "presidio_synth": {
        "person_masked": lambda d, f: spans.spans_masked(d, f, of_types("PERSON")),
        "any_recall": lambda d, f: spans.tokens_masked(d, f, lambda gold: True),
        "any_precision": spans.tokens_right,
    },
    "wnut17": {
        "person_masked": lambda d, f: spans.spans_masked(d, f, of_types("person")),
        "person_precision": lambda d, f: spans.tokens_right(d, f, "PERSON", of_types("person")),
    },
    "ncbi_disease": {"disease_masked": lambda d, f: spans.tokens_masked(d, f, lambda gold: True, whole=False)},
    "mtsamples": {"words_masked": spans.words_touched},
}


def trained(folder: Path, seeds: Sequence[int], steps: int, student_steps: int) -> dict[str, list[Path]]:
    """The files of both models, trained where they are not there yet; a student has its own seed's teacher."""
    files: dict[str, list[Path]] = {"builtin": [], "student": []}
    for seed in seeds:
        teacher, student = folder / f"builtin-{seed}.safetensors", folder / f"student-{seed}.safetensors"
        if not teacher.exists():
            training.main(["--seed", str(seed), "--steps", str(steps), "--out", str(teacher)])
        if not student.exists():
            given = ["--teacher", str(teacher), "--seed", str(seed), "--steps", str(student_steps)]
            distillation.main([*given, "--out", str(student)])
        files["builtin"].append(teacher)
        files["student"].append(student)
    return files


def documents(data: Path, *, quick: bool) -> dict[str, list[Document]]:
    """What models are measured on."""
    texts = {"notes": hipaa.note_documents(hipaa.DEVELOPMENT_SEED, NOTES // (8 if quick else 1))}
    for one in SETS:
        rows = one.documents(data, dev=True, quick=quick) if one.name in EVERY else None
        if rows is not None:
            texts[one.name] = rows if quick else rows[:: EVERY[one.name]]
    return texts


def measured(
    name: str, classifier: Classifier, backbone: Backbone, texts: dict[str, list[Document]]
) -> dict[str, float]:
    """Every figure of one model within the product's engine."""
    settings = settings_of("none")
    engine = build(settings, builtin.of_classifier(name, classifier, backbone, settings))
    shares: dict[str, float] = {}
    for source, rows in texts.items():
        given = [TextRow(str(number), one.text, None, None) for number, one in enumerate(rows)]
        returned, _ = Anonymizer(engine, settings).run(given)
        masked: list[list[spans.Masked]] = [[] for _ in rows]
        for record in returned:
            masked[int(record.record_id)] = [spans.Masked(f.start, f.end, f.entity_type) for f in record.findings]
        for figure, measure in FIGURES[source].items():
            share = measure(rows, masked).share
            if share is not None:
                shares[f"{source}_{figure}"] = share
    return shares


def rows_of(name: str, files: Sequence[Path], texts: dict[str, list[Document]]) -> list[Row]:
    """A row for each figure over the seeds, the packaged weights beside it."""
    backbone = load_backbone()
    into = weights.into_student if name == "student" else weights.into_network
    models = [into({key: value.float() for key, value in load_file(file).items()}, backbone) for file in files]
    shares = [measured(name, model, backbone, texts) for model in models]
    try:
        packaged = measured(name, weights.classifier(name, backbone), backbone, texts)
    except CollabError:
        packaged = {}
    rows = []
    for figure in shares[0]:
        values = [round(share[figure], 5) for share in shares]
        beside = {f"seed {at + 1}": value for at, value in enumerate(values)}
        beside |= {"packaged": round(packaged[figure], 5)} if figure in packaged else {}
        rows.append(of_repeats(f"{name}_{figure}", values, "share", beside=beside))
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=training.STEPS)
    parser.add_argument("--student-steps", type=int, default=distillation.STEPS)
    parser.add_argument("--quick", action="store_true", help="a few steps and texts: holds the form, measures nothing")
    parser.add_argument("--package", action="store_true", help="copy the first seed's files into the package")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    given = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(1)
    folder = given.out / ("ner-quick" if given.quick else "ner")
    folder.mkdir(parents=True, exist_ok=True)
    steps, student_steps = (4, 4) if given.quick else (given.steps, given.student_steps)
    files = trained(folder, given.seeds, steps, student_steps)
    texts = documents(given.data, quick=given.quick)
    rows = [row for name in files for row in rows_of(name, files[name], texts)]
    rows.append(
        Row(
            "weights_megabytes",
            round(sum(of_model[0].stat().st_size for of_model in files.values()) / 1e6, 3),
            "MB",
            "<= 12",
        )
    )
    write_report("ner", rows, seconds=time.monotonic() - started, quick=given.quick, out=given.out)
    if given.package:
        for name, of_model in files.items():
            target = PACKAGE / weights.PACKAGED[name].file
            shutil.copyfile(of_model[0], target)
            print(f"{target.name} {sha256_file(target)}")


if __name__ == "__main__":
    main()
