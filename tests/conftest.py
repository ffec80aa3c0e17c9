# SPDX-License-Identifier: Apache-2.0
"""One torch thread for each process of the tests, before anything imports torch.

By default each process takes a thread per core, and threads that wait for each other spin: with two workers on two
cores, a test of 2 seconds took a minute. What is computed does not change: a site sets its threads by `compute.threads`
(1 unless it says otherwise), and a test that is about threads sets them itself.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
