# SPDX-License-Identifier: Apache-2.0
"""The part that learns, and knows nothing of a site: model, tasks, training."""
