# SPDX-License-Identifier: Apache-2.0
"""States of the US and provinces of Canada, as alternations for patterns. A state alone is kept by Safe Harbor."""

from __future__ import annotations

US_CODES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|"
    "SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|GU|VI"
)
US_NAMES = (
    r"Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|"
    r"Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|"
    r"Nevada|New\sHampshire|New\sJersey|New\sMexico|New\sYork|North\sCarolina|North\sDakota|Ohio|Oklahoma|Oregon|"
    r"Pennsylvania|Rhode\sIsland|South\sCarolina|South\sDakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|"
    r"West\sVirginia|Wisconsin|Wyoming|Puerto\sRico"
)
US_STATE = rf"(?-i:{US_CODES})(?![A-Za-z])|{US_NAMES}|{US_NAMES.upper().replace(chr(92) + 'S', chr(92) + 's')}"
CA_CODES = "AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT"
CA_NAMES = (
    r"Alberta|British\sColumbia|Manitoba|New\sBrunswick|Newfoundland(?:\sand\sLabrador)?|Nova\sScotia|Nunavut|Ontario|"
    r"Prince\sEdward\sIsland|Qu[e\u00e9]bec|Saskatchewan|Yukon"
)
