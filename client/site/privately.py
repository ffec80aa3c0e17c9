# SPDX-License-Identifier: Apache-2.0
"""The one place where a failure over private data becomes an answer: nothing that depends on data leaves without noise.

A coordinator chooses the model and the task, so it can choose on which texts a computation fails. Whether it failed is
then an exact answer about single people, without noise and at no cost. So from the first look at the data on, a site
does not refuse: what fails is answered as by a site without any data, with full noise, and the site alone is told. A
row that fails by itself (client.learning.training.training, client.data.corpus, privacy.dp) only costs itself; what
arrives here is a failure that no row could be blamed for. What fails without data as well (a disk, a bug) depends on
none, and leaves as one constant code, whatever it was (docs/adr/0030-nothing-without-noise.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from client.site.pipeline import SitePipeline
from privacy.base.errors import CollabError

Answered = TypeVar("Answered")
Told = Callable[[Exception], None]


class Failed(CollabError):
    """A site could not answer a plan that it had accepted, and would not have without its data either."""

    reason = "bug"


def answer_privately(work: Callable[[SitePipeline], Answered], pipeline: SitePipeline, report: Told) -> Answered:
    """`work` on the site's material; where that fails, the same `work` as if the site had no data.

    `told` gets what went wrong, for the site alone. Raises Failed, which says nothing of it, where both fail. `work`
    must release nothing by itself: it may begin twice, with the same seed.
    """
    try:
        return work(pipeline)
    except Exception as error:
        report(error)
    return unblamed(lambda: work(pipeline.without_data()), report)


def unblamed(work: Callable[[], Answered], report: Told) -> Answered:
    """`work`, which reads no data but follows a look at it: any failure is the same Failed."""
    try:
        return work()
    except Exception as error:
        report(error)
    raise Failed("this answer could not be made", next_step="the site's own report says why; nothing was sent")
