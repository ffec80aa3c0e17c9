# SPDX-License-Identifier: Apache-2.0
"""What a round of learning became: a delta, clipped, and quantized to integers."""
