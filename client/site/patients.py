# SPDX-License-Identifier: Apache-2.0
"""What a site that protects records is told of its patients: the epsilon of whoever has the most notes.

It follows from the ledger and from what the site's last report says of its corpus, and stays here: how many notes a
patient has at most is private. Nothing is said where a patient is the unit, or where the data names no patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.settings.site_settings import SiteFolder
from client.site.events import PreparedEvent
from client.site.reports import SiteReports

if TYPE_CHECKING:
    from privacy.dp.patient_epsilon import PatientEpsilon


def patient_epsilon_of(folder: SiteFolder) -> PatientEpsilon | None:
    """The patient-level epsilon of the data set's whole history; None where there is nothing to say."""
    policy, data = folder.settings.policy, folder.settings.data
    notes = _most_notes(folder)
    if policy.unit != "record" or not folder.ledger.exists() or not any(notes.values()):
        return None
    from privacy.dp.composition import as_one_sequence
    from privacy.dp.ledger import Ledger
    from privacy.dp.patient_epsilon import patient_epsilon

    ledger = Ledger(folder.ledger)
    events = [event for row in ledger.history(data.dataset, "record") for event in row.events]
    if ledger.in_sequence(data.dataset, "record"):  # notes of one patient may have been in both parts
        events, notes = as_one_sequence(events), {"train": sum(notes.values())}
    return patient_epsilon(events, notes, policy.delta) if events else None


def _most_notes(folder: SiteFolder) -> dict[str, int]:
    """The greatest that any report of this site says, by partition: data may have grown or shrunk between runs."""
    most_notes: dict[str, int] = {}
    reports = SiteReports(folder.reports)
    for run_id in reports.runs():
        for event in reports.events(run_id):
            for split, count in event.most_notes.items() if isinstance(event, PreparedEvent) else ():
                most_notes[split] = max(most_notes.get(split, 0), count)
    return most_notes
