# SPDX-License-Identifier: Apache-2.0
"""A round of training on token pieces: what is described, prepared, trained, evaluated, and how fast."""
