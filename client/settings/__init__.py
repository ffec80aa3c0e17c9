# SPDX-License-Identifier: Apache-2.0
"""A site's settings file: its folders, its data, its privacy and training, and its policy."""
