# SPDX-License-Identifier: Apache-2.0
"""What stands in place of a finding when it is no tag: invented values under the site's key, shifted dates, bands.

`modes` says which mode a type has, `keyed` who may repeat a choice, `unit` joins them for one privacy unit; the other
files are one kind of value each. A writer takes the words of a finding and gives their stand-in, or None where it can
make none: then a tag stands there, never the original.
"""
