# SPDX-License-Identifier: Apache-2.0
"""The network's side: the supervised SuperLink, the door with mutual TLS, slots, and the exchange with sites."""
