# SPDX-License-Identifier: Apache-2.0
"""The site's side: private text is read, anonymized and trained on here, and only a clipped, noised update leaves."""
