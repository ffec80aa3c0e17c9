# SPDX-License-Identifier: Apache-2.0
"""The site's side: private text is read, anonymized and trained on here, and only a clipped, noised update leaves.

from client import Site
site = Site.load(Path("sites/hospital_a.toml"))
[(account.epsilon_spent, account.epsilon_limit, account.unit) for account in site.accounts()]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacy.base.exports import exported

if TYPE_CHECKING:
    from client.site.site import Site
else:
    __getattr__ = exported(__name__, {"Site": "client.site.site"})

__all__ = ["Site"]
