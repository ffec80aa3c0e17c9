# SPDX-License-Identifier: Apache-2.0
"""A site's files as privacy units with a place in train, dev or test: read, marked, named, split."""
