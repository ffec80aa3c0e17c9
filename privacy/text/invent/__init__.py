# SPDX-License-Identifier: Apache-2.0
"""Invented texts with identifiers at known places: what the built-in name model is trained on, and checked with.

Nothing here was copied or paraphrased from an evaluation set: the templates in `templates/` were written for this
project by authors who had opened none, and a test holds them against every shared text. `clinical` and `general` are
for training; `notes` is for self-checks and development, and `held_out` for the benchmark of a release, read by nobody
who wrote a rule or another template. The reading order is `rng`, `people`, `places`, `bodies`, `dates`, `numbers`,
`figures`, `slots`, `templates`, `notes`.
"""
