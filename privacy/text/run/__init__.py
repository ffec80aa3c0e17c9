# SPDX-License-Identifier: Apache-2.0
"""Anonymizing a corpus: in parallel, within a time limit, and never twice."""
