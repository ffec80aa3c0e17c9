# SPDX-License-Identifier: Apache-2.0
"""A text as the finders and the replacers see it: records, tokens, folded views, overlaps, site patterns."""
