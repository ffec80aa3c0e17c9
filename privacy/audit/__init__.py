# SPDX-License-Identifier: Apache-2.0
"""The log: its format, its checking and the auditor's tool. Writing is the coordinator's."""
