# SPDX-License-Identifier: Apache-2.0
"""The log: its format, its checking and the auditor's tool. Writing is the coordinator's.

from privacy.audit import replay, verify
verify(Path("federation"), expected_key=None).findings, replay(Path("federation")).findings
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacy.base.exports import exported

if TYPE_CHECKING:
    from privacy.audit.recomputation import ReplayReport, replay
    from privacy.audit.verification import VerifyReport, verify
    from privacy.log.keys import VerifyKey
    from privacy.log.note import NoteKey
else:
    __getattr__ = exported(
        __name__,
        {
            "NoteKey": "privacy.log.note",
            "ReplayReport": "privacy.audit.recomputation",
            "VerifyKey": "privacy.log.keys",
            "VerifyReport": "privacy.audit.verification",
            "replay": "privacy.audit.recomputation",
            "verify": "privacy.audit.verification",
        },
    )

__all__ = ["NoteKey", "ReplayReport", "VerifyKey", "VerifyReport", "replay", "verify"]
