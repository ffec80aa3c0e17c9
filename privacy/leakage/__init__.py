# SPDX-License-Identifier: Apache-2.0
"""What leaks, measured and not promised: self-tests of noise and sampling, a one-run audit, inversion, membership.

Rules: a file here takes callables and arrays and has no model and no data of its own; every verdict is a statistical
test whose chance of a false alarm is said; every result says what it can and what it cannot show. A check that passes
proves no privacy: it failed to find a leak. `recorder` is the only file that loads torch. Methods: docs/leakage.md.
"""
