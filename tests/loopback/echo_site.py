# SPDX-License-Identifier: Apache-2.0
"""A site's process for the loopback tests: the real transport and app, answering with the payload reversed.

Arguments: address, CA file, files of node key, certificate and TLS key, site, seconds that an answer takes. One line on
standard output an event.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from client.wire.app import make_app
from client.wire.credentials import Credentials
from client.wire.transport import Endpoint, serve
from privacy.log.keys import SigningKey
from privacy.protocol.messages import Header, Refusal, SignedMessage, seal


def message(sender: str, payload: bytes) -> SignedMessage:
    return seal(
        Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=1),
        Header(
            kind="refusal",
            run_id="run",
            server_round=1,
            attempt=1,
            phase="update",
            sender=sender,
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        SigningKey(b"k" * 32),
        payload=payload,
    )


class Echo:
    def __init__(self, site: str, seconds: float) -> None:
        self.site, self.seconds = site, seconds

    def answer(self, received: SignedMessage) -> SignedMessage:
        print("answering", flush=True)
        time.sleep(self.seconds)
        if received.payload == b"fail":
            raise RuntimeError("Jane Doe has a fever")
        return message(self.site, received.payload[::-1])


def main() -> None:
    address, ca, key, certificate, tls, site, seconds = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    echo = Echo(site, float(seconds))
    credentials = Credentials(
        ca_certificate=Path(ca).read_bytes(),
        certificate=Path(certificate),
        key=Path(tls),
        site=Path(certificate).stem,
    )
    serve(
        make_app(lambda config: echo),
        Endpoint(address, credentials, Path(key), site),
        stop=stop,
        on_event=lambda event: print(event, flush=True),
        on_sent=lambda envelope, count: print(f"sent {envelope.kind} of {count} bytes", flush=True),
    )
    print("left", flush=True)


if __name__ == "__main__":
    main()
