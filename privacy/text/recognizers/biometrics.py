# SPDX-License-Identifier: Apache-2.0
"""Cues of biometric identifiers and photographs (Safe Harbor rows 16 and 17): the record is flagged, the words stay.

What identifies is no text, it lies in another file; the flag tells the site which records point to one.
"""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings

_BIOMETRIC = (
    r"(?:finger|palm|thumb|hand|voice|foot|retina|retinal\s|iris\s|ear|lip)[\s-]?(?:prints?|printing|printed)|"
    r"(?:iris|retina|retinal|facial|face|palm[\s-]?vein|vein|hand[\s-]?geometry|biometric)\s(?:scans?|recognition|template|id|map|"
    r"authentication|identification|enrol?lment)|biometrics?|voice\s(?:recognition|biometric|sample|id)|gait\srecognition|"
    r"DNA\s(?:profile|fingerprint\w{0,3}|sample\s(?:kept|stored|taken)|identification)|genetic\sfingerprint\w{0,3}|face\s?ID|touch\s?ID"
)
_PHOTO = (
    r"photo(?:graph)?s?(?!\w)|photograph(?:ed|ing|ic|y)|photo[\s-]?(?:documentation|id|documented|of)|(?:full[\s-]?)?face\s(?:image|picture|shot)s?|"
    r"selfies?|head\s?shots?|mug\s?shots?|portraits?|snapshots?|polaroids?|(?:picture|pictures|image|images|video|videos)\s"
    r"(?:of\s(?:the\s)?(?:patient|face|wound|child|infant)|taken|attached|uploaded|saved|obtained\sof\s(?:face|wound))|"
    r"(?:took|takes|see\sattached|attached|uploaded)\s(?:a\s|the\s)?(?:pictures?|photos?|videos?(?!\scamera))|video(?:tap(?:ed|ing)|\srecording|\srecorded)|"
    r"[\w-]{1,40}\.(?:jpe?g|png|heic|tiff?|bmp|mp4|mov)(?!\w)"
)


def build(settings: TextSettings) -> Rules:
    """The recognizer of flags; needs no settings."""
    return Rules(
        "biometrics",
        [
            Rule("BIOMETRIC", 0.6, re.compile(rf"(?<!\w)(?:{_BIOMETRIC})(?!\w)", re.IGNORECASE)),
            Rule("PHOTO", 0.6, re.compile(rf"(?<!\w)(?:{_PHOTO})", re.IGNORECASE)),
        ],
    )
