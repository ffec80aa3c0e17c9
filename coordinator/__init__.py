# SPDX-License-Identifier: Apache-2.0
"""The coordinator's side: plans rounds, folds updates as integers, writes the log. Never imports torch."""
