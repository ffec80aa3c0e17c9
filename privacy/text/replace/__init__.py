# SPDX-License-Identifier: Apache-2.0
"""What stands in the place of an identifier: tags, surrogates, and where a row's own spans come to lie."""
