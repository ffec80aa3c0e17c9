# SPDX-License-Identifier: Apache-2.0
"""The words of the invented notes: illnesses of four services, names, identifiers, and the layouts of four hospitals.

All of it was written for this repository: no real note, patient or name list stands behind it.
"""
