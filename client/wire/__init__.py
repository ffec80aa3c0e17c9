# SPDX-License-Identifier: Apache-2.0
"""A site's line to its coordinator: HTTP under mutual TLS, in the shape of a Flower client."""
