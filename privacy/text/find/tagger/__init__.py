# SPDX-License-Identifier: Apache-2.0
"""The built-in name model: a token classifier over a frozen copy of the packaged MiniLM, small, offline, deterministic.

The reading order is `segments` (what is read at once), `encoding` (word pieces and shapes), `network` (the frozen
encoder with low-rank deltas), `decoding` (probabilities to spans), `tagger` (texts to spans, with a cache of segments),
`weights` (what is packaged, by digest). Training (`examples`, `training`, `distillation`) is run by `make ner` alone.
"""
