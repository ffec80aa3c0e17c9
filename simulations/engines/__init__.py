# SPDX-License-Identifier: Apache-2.0
"""Where simulated sites run: in this process, one after the other."""
