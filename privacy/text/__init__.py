# SPDX-License-Identifier: Apache-2.0
"""Row in, anonymized record out. Raw text ends in this room: what leaves it has tags where names stood.

The reading order is `records`, `settings`, `view`, `recognizers`, `engines`, `replacement`, `anonymize`, `report`.
Presidio and spaCy are imported in `engines` alone, and only when an engine is loaded.
"""
