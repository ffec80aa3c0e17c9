# SPDX-License-Identifier: Apache-2.0
"""Two sites that differ in one patient, asked the same by a hostile coordinator: what leaves must not tell which.

`cases` says what is tried, `world` holds the two sites and the desk that signs, `law` compares what left. A test draws
cases by hypothesis, a benchmark by thousands.
"""
