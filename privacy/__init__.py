# SPDX-License-Identifier: Apache-2.0
"""The floor of trust: what a site, a coordinator and an auditor must agree on."""
