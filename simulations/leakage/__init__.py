# SPDX-License-Identifier: Apache-2.0
"""What leaks from a training like ours, measured with the product's own model, loop and encoding on invented notes.

`subject` is what is attacked, one file a check attacks it, `checks` runs them in order, `command` is `collab-sim
leakage`. The statistics are those of privacy/leakage. A bug can be planted: noise / 10, no sampling, or a seed that the
adversary has; each changes what the loop is given, none of them changes the loop.
"""
