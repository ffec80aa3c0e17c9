# SPDX-License-Identifier: Apache-2.0
"""What `collab-client` says and does: one file a command or a group of them."""
