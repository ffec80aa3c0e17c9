# SPDX-License-Identifier: Apache-2.0
"""Write invented notes for the two hospitals of this folder: nobody's data, so that the whole way can be rehearsed."""

from __future__ import annotations

from pathlib import Path

from privacy.base.randomness import PublicSeed
from simulations.corpora import clinical_notes, write_site_data

HOSPITALS = {"hospital_a": "sectioned", "hospital_b": "narrative"}
PATIENTS = 80

for name, style in HOSPITALS.items():
    notes = clinical_notes(PublicSeed.from_integer(1).derive(name), PATIENTS, style)
    write_site_data(Path("notes") / name, notes)
    print(f"notes/{name}/notes.jsonl: {len(notes)} invented notes of {PATIENTS} invented patients")
