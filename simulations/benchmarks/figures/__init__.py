# SPDX-License-Identifier: Apache-2.0
"""The figures of the docs: committed as docs/figures/NAME.json, and from there written into the pages' tables.

`files` is what such a file holds, `tables` makes lines of it, `pages` puts them between the marks of a page and holds
what a page's prose cites against the file. Nothing here measures, and nothing heavy is imported.
"""
