# SPDX-License-Identifier: Apache-2.0
"""DP-SGD: per-example gradients are clipped, summed and noised; what was spent is accounted for and kept in a ledger.

Importing this room loads neither torch nor Opacus: `params`, `ledger` and `pld` stay light, because the coordinator and
the auditor read them; `accounting` (Opacus), `clipping` and `training` (torch) are named by those who run them.
"""
