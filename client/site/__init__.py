# SPDX-License-Identifier: Apache-2.0
"""One site's answers: the story is `site`; the rest holds its plans, budget, material, checks and state."""
