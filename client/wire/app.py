# SPDX-License-Identifier: Apache-2.0
"""The Flower app of a site, the same in a simulation and at an institution: a message in, a message out.

Which site answers is found by `resolve` from the node's own configuration. A site says no by itself and signs it; what
goes wrong here was never answered, and leaves as one unsigned code, whatever it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, Protocol

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp

from privacy.protocol.flower import from_content, to_content
from privacy.protocol.messages import SignedMessage

MAX_MODEL_BYTES: Final = 2 << 30
CLIENT_APP_RAISED: Final = 2
"""Flower's ErrorCode.CLIENT_APP_RAISED_EXCEPTION."""
UNANSWERED: Final = "bug"
"""All that is said of a message that no site answered: a stranger's, a malformed one, or one that broke something."""


class Answering(Protocol):
    """A site: what comes in, and what goes out. It signs, and it refuses by itself (kind "refusal")."""

    def answer(self, signed_message: SignedMessage) -> SignedMessage:
        """The one reply to `signed_message`."""
        ...


def make_app(
    resolve: Callable[[Mapping[str, object]], Answering],
    *,
    max_payload_bytes: int = MAX_MODEL_BYTES,
    on_error: Callable[[Exception], None] | None = None,
) -> ClientApp:
    """A ClientApp that gives every message (train, evaluate, query) to the site that `resolve` finds.

    `resolve` gets the Flower node_config: `{"site": name}`. It is asked at each message, so it should keep what it
    opened. `on_error` sees, at the site, an exception of which only UNANSWERED goes out.
    """

    def answer(message: Message, context: Context) -> Message:
        try:
            signed_message = from_content(message.content, max_payload_bytes)
            return Message(to_content(resolve(context.node_config).answer(signed_message)), reply_to=message)
        except Exception as error:
            if on_error is not None:
                on_error(error)
            return Message(Error(CLIENT_APP_RAISED, UNANSWERED), reply_to=message)

    app = ClientApp()
    for register in (app.train, app.evaluate, app.query):
        register()(answer)
    return app
