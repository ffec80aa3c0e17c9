# SPDX-License-Identifier: Apache-2.0
"""What a site's people look at before they say yes: previews, samples, figures, refused rows."""
