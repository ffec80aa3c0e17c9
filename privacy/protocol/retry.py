# SPDX-License-Identifier: Apache-2.0
"""Ask again while the other side is away, for as long as was said, and tell apart "away" from "no".

Both sides of the wire need the same: a SuperLink that is being restarted is waited for, an answer is not asked for
twice, and whoever shows another certificate is told apart from somebody who is away: no call is made to them, and the
caller may try again later. An error holds a status, never a text from the wire.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from privacy.base.errors import Unreachable

AWAY: Final = frozenset({500, 502, 503, 504})
"""500 too: Flower's SuperLink says it when its SQLite state is busy, and a moment later it is not."""
_ALERT: Final = re.compile(r"ALERT_((BAD|UNSUPPORTED)_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_\w+)|CERTIFICATE_REQUIRED")
"""How OpenSSL writes that the other side did not take our certificate."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0

Result = TypeVar("Result")


class RequestRejected(Unreachable):
    """The other side is there and says no. `status` is HTTP's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the SuperLink answered {status}", next_step="look into the coordinator's superlink.log")
        self.status = status


class Foreign(Unreachable):
    """Somebody answers at the address whose certificate is not the coordinator's: nothing was said to them."""

    def __init__(self) -> None:
        super().__init__(
            "the coordinator's certificate does not hold",
            next_step="compare the address and the fingerprint of the start kit with the coordinator",
        )


class NotLetIn(Unreachable):
    """The coordinator does not take our certificate: expired, revoked, or of another federation."""

    def __init__(self) -> None:
        super().__init__(
            "the coordinator does not take this site's certificate",
            next_step="ask the coordinator for a new start kit, and join again",
        )


class RetryPolicy:
    """Calls again after transport errors, with growing pauses, for `seconds` after the first failure.

    Fits where Flower's clients take a retry invoker. `stop` ends the waiting at once.
    """

    def __init__(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.seconds = seconds
        self.stop = stop or threading.Event()

    def invoke(self, call: Callable[[], Result]) -> Result:
        """The call's result. Raises RequestRejected, Unreachable, or of its kinds Foreign and NotLetIn, at once."""
        end, pause = time.monotonic() + self.seconds, _FIRST_PAUSE
        while True:
            try:
                return call()
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in AWAY:
                    raise RequestRejected(error.response.status_code) from None
            except httpx.TransportError as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise Foreign from None
                if _ALERT.search(str(error)):
                    raise NotLetIn from None
            if self.stop.is_set() or time.monotonic() >= end:
                raise Unreachable("the SuperLink is away", next_step="try again later: nothing is lost")
            self.stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
