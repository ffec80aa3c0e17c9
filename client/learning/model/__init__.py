# SPDX-License-Identifier: Apache-2.0
"""A pretrained BERT as a run uses it: its files, heads, token pieces, masking, dropout, device."""
