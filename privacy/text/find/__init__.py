# SPDX-License-Identifier: Apache-2.0
"""What finds identifiers in a text: engines, recognizers, models of names, and the rules around them."""
