# SPDX-License-Identifier: Apache-2.0
"""Many sites on one machine: the same client and coordinator code on an in-process grid. Owns no training code."""
