# SPDX-License-Identifier: Apache-2.0
"""Every figure of docs/benchmarks.md comes from a command here: `python -m simulations.benchmarks.<name>`."""
