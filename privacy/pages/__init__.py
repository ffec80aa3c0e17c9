# SPDX-License-Identifier: Apache-2.0
"""Static HTML pages that load nothing from anywhere: the kit, and its style."""
