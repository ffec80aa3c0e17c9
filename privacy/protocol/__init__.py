# SPDX-License-Identifier: Apache-2.0
"""Everything that may cross an institution's border."""
