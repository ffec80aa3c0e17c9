# SPDX-License-Identifier: Apache-2.0
"""The ground under every room: errors, validated types, canonical bytes, files that survive a crash, seeds."""
