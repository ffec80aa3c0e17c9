# SPDX-License-Identifier: Apache-2.0
"""A site at work: connected until it is interrupted, saying in sentences what each message asked and what left.

The first Ctrl-C (or SIGTERM) lets the message in hand be finished, since it is paid for; the second does not. Heavy
rooms (torch, presidio, flwr) are imported when the work begins.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from client.commands.progress import progress_line
from privacy.base.errors import CollabError, IntegrityError, SettingsError
from privacy.base.files import write_private
from privacy.commandline.terminal import say, warn

if TYPE_CHECKING:
    from client.enrolment import SiteIdentity
    from client.settings.site_settings import SiteFolder
    from client.wire.credentials import Credentials


def work(folder: SiteFolder, *, now: datetime) -> NoReturn:
    """Serve until interrupted, then raise KeyboardInterrupt. Raises what `load_identity` and `serve` raise."""
    from client import enrolment

    identity = enrolment.load_identity(folder, now=now)

    say(f"{folder.name} works for {identity.kit.federation} at {identity.kit.address}. Ctrl-C ends it cleanly.")
    if identity.simulated:
        say(enrolment.SIMULATED_EPSILON)
    with _alone(folder):
        _serve(folder, identity)
    raise KeyboardInterrupt


@contextmanager
def _alone(folder: SiteFolder) -> Iterator[None]:
    """One process works for a site: two would answer one plan with two releases. The lock ends with the process."""
    handle = os.open(folder.home / "work.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another collab-client works for {folder.name} already",
                next_step="end that one first, or let it work",
            ) from None
        yield
    finally:
        os.close(handle)


def _serve(folder: SiteFolder, identity: SiteIdentity) -> None:
    from client.enrolment import NODE_KEY
    from client.site import account
    from client.site.events import ChargedEvent, Event, StepEvent
    from client.site.site import Site
    from client.wire.app import make_app
    from client.wire.transport import Endpoint, serve

    site = Site(folder, identity)
    site.pipeline.progress = progress_line()

    def tell(event: Event) -> None:
        if isinstance(event, StepEvent):
            return
        _say_now(event.sentence)
        if isinstance(event, ChargedEvent) and event.epsilon_of_run is not None:
            _say_now(account.balance(folder))

    site.reports.watch = tell
    node_key = folder.keys / NODE_KEY
    endpoint = Endpoint(identity.kit.address, credentials_of(folder, identity), node_key, folder.name)
    with _leaving() as stop:
        serve(
            make_app(lambda config: site, on_error=_tell_error),
            endpoint,
            stop=stop,
            on_event=_say_now,
            on_sent=lambda envelope, sent_bytes: site.reports.sent(
                envelope.run_id, envelope.server_round, envelope.phase, sent_bytes
            ),
        )


def credentials_of(folder: SiteFolder, identity: SiteIdentity) -> Credentials:
    """What the site shows at the door: the newest certificate that it was given, at first that of its start kit."""
    from client.enrolment import TLS_KEY
    from client.wire.credentials import Credentials

    def held() -> Credentials:
        return Credentials(
            ca_certificate=identity.kit.ca_certificate.encode("ascii"),
            certificate=folder.certificate,
            key=folder.keys / TLS_KEY,
            site=folder.name,
            role=identity.enrolment.role,
        )

    if folder.certificate.exists():
        with suppress(IntegrityError):  # it was made for an earlier key or role: the kit's is the one that fits
            return held()
    write_private(folder.certificate, identity.kit.certificate.encode("ascii"))
    return held()


@contextmanager
def _leaving() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets: a round in hand is finished, since it is paid for already."""
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        # in a thread: the interrupted code may hold the event's own lock
        setter = threading.Thread(target=stop.set)
        setter.start()
        warn("Leaving after the message in hand. Again: at once (what is reserved stays charged).")

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_error(error: Exception) -> None:
    _say_now(f"a message was not answered: {error if isinstance(error, CollabError) else type(error).__name__}")


def _say_now(sentence: str) -> None:
    say(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}")
