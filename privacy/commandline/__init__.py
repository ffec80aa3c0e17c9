# SPDX-License-Identifier: Apache-2.0
"""What every command shows and reads: the terminal, errors with a next step, settings files in TOML."""
