# SPDX-License-Identifier: Apache-2.0
"""What makes the packaged name model and its lists. A developer runs it; no command of the product does."""
