# SPDX-License-Identifier: Apache-2.0
"""The one error tree. An error is for the person who must act: facts as attributes, the sentence made from them.

    CollabError                 exit 1   a bug, unless a branch below says otherwise
    ├── SettingsError           exit 2   a settings file or a command line is wrong
    ├── AnonymizationError      exit 3   text could not be anonymized: it is not trained on
    ├── BudgetExceeded          exit 3   a release would bring epsilon over the site's limit
    ├── PlanRefused             exit 3   a plan asks for what the site's policy forbids
    ├── ContractError           exit 4   a message, array or file breaks its declared shape
    │   └── UpdateNotFinite     exit 4   a delta holds NaN or infinity
    ├── IntegrityError          exit 4   a digest, signature or proof does not hold
    │   └── LogForked           exit 4   two histories that cannot both be true
    ├── StorageFailed           exit 5   the disk refused a write: nothing is half written
    └── Unreachable             exit 5   a peer did not answer in time, or a run is incomplete

No error holds original text, a token, a secret or a path of a private file. Across an institution's border
goes only a reason code (privacy.protocol.messages.ReasonCode), never a sentence.
"""

from __future__ import annotations

from typing import NamedTuple


class CollabError(Exception):
    """Base of all errors that collab raises on purpose. `next_step` tells the reader what to do."""

    exit_code = 1

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\nNext step: {self.next_step}" if self.next_step else self.message


class SettingsError(CollabError):
    """A settings file or a command line is wrong; nothing was started."""

    exit_code = 2
    reason = "data_unusable"


class AnonymizationError(CollabError):
    """Text could not be anonymized; it was not trained on."""

    exit_code = 3
    reason = "anonymization_failed"


class PlanRefused(CollabError):
    """A plan asks for what the site's policy forbids. `reason` is the code that crosses the border."""

    exit_code = 3

    def __init__(self, message: str, *, reason: str, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason


class Overrun(NamedTuple):
    """What the history plus the planned events would cost, and the site's bound, at the ledger's delta for its unit.

    `accountant` is prv, pld, rdp, or the filter that binds across runs; `also` then says what the accountant finds.
    """

    epsilon_after: float
    epsilon_limit: float
    unit: str
    accountant: str = "prv"
    also: str = ""

    def __str__(self) -> str:
        by = f"{self.accountant}; {self.also}" if self.also else self.accountant
        return f"epsilon to {self.epsilon_after:.4f} of {self.epsilon_limit:.4f} (unit: {self.unit}, by {by})"


class BudgetExceeded(PlanRefused):
    """A release would bring epsilon over the limit; nothing was trained or released.

    `what` is refused: "round 3", or a whole run.
    """

    def __init__(self, overrun: Overrun, *, site: str, server_round: int, what: str = "") -> None:
        super().__init__(
            f"site {site} refuses {what or f'round {server_round}'}: it would bring {overrun}; nothing was trained",
            reason="budget_exceeded",
            next_step="plan less noise-hungry rounds or fewer of them; only the site can raise its own limit",
        )
        self.site = site
        self.server_round = server_round
        self.epsilon_after = overrun.epsilon_after
        self.epsilon_limit = overrun.epsilon_limit
        self.unit = overrun.unit
        self.accountant = overrun.accountant


class ContractError(CollabError):
    """A message, array or file breaks its declared shape. `reason` is the code that crosses the border."""

    exit_code = 4

    def __init__(self, message: str, *, reason: str = "malformed", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason


class UpdateNotFinite(ContractError):
    """A delta holds NaN or infinity: a site must not send it, nor do we repair it."""

    def __init__(self, message: str = "the update holds NaN or infinity") -> None:
        super().__init__(message, reason="not_finite", next_step="lower the learning rate; nothing was sent")


class IntegrityError(CollabError):
    """A digest, signature or proof does not hold. `reason` is the code that crosses the border."""

    exit_code = 4

    def __init__(self, message: str, *, reason: str = "integrity", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason


class LogForked(IntegrityError):
    """Two histories of one log that cannot both be true."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="log_forked", next_step="keep both checkpoints as evidence and stop the run")


class StorageFailed(CollabError):
    """The disk refused a write (full, or failing). What was being written is wholly there or wholly absent."""

    exit_code = 5
    reason = "storage"


class Unreachable(CollabError):
    """A peer did not answer in time, or a run is incomplete. It can be tried again."""

    exit_code = 5
