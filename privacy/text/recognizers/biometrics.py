# SPDX-License-Identifier: Apache-2.0
"""Cues of biometric identifiers and photographs (Safe Harbor rows 16 and 17): the record is flagged, the words stay.

What identifies is no text, it lies in another file; the flag tells the site which records point to one.
"""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings

_BODY = r"(?:iris(?:es)?|retinas?|retinal|facial|face|palms?|palmar|fingers?|thumbs?|hands?|veins?|ear|voice|gait)"
_HELD = (
    r"(?:check[\s-]?in|sign[\s-]?in|log[\s-]?in|login|unlock|access|data|files?|scans?|scanned|scanner|scanning|templates?|readers?|readings?\s(?:stored|on\sfile)|sensors?|captures?|captured|"
    r"enrol(?:l|led|lment|ment)s?|enrolled|recognition|verification|authentication|identification|signatures?|geometry|maps?|"
    r"biometrics?|patterns?\s(?:stored|on\sfile|enrolled|captured)|images?\s(?:stored|on\sfile|enrolled|captured|registered))"
)
_BIOMETRIC = (
    r"(?:finger|palm|thumb|hand|voice|foot|retina|retinal\s|iris\s|ear|lip)[\s-]?(?:prints?|printing|printed)|"
    rf"{_BODY}(?:[\s/-]{{1,2}}(?:and\s|or\s)?(?:vein|print|{_BODY}))?[\s-]{{1,2}}"
    rf"(?:(?:was|were|is|are|has\sbeen|have\sbeen)\s)?{_HELD}|"
    rf"(?:scan(?:s|ned|ning)?|prints?|templates?|enrol(?:l|ls|led|ling)|captured?|registered)\s(?:of\s|by\s|with\s|using\s|for\s)?"
    rf"(?:(?:the|a|his|her|their|both|left|right|patient's|pt's)\s){{0,3}}{_BODY}|(?:eye|facial|face)\s(?:scan\w*|match\w*)|"
    r"(?:finger|thumb|palm|hand)?prints\s(?:were\s|was\s)?(?:taken|stored|on\sfile|captured|enrolled)|"
    r"(?:facial|face|hand[\s-]?geometry|biometric)\s(?:id|map|recognition)|biometric\w*|"
    r"(?:palm|finger|hand)[\s-]?vein|voice\s(?:recognition|biometric|samples?|id|recordings?\s(?:kept|stored|on\sfile|for\sidentification))|"
    r"speaker\s(?:verification|recognition|identification)|face\s?ID|touch\s?ID|"
    r"DNA\s(?:profile|fingerprint\w{0,3}|samples?\s(?:kept|stored|taken)|identification)|genetic\sfingerprint\w{0,3}"
)
_SEEN = r"(?:patient|face|facial\sfeatures|wound|child|infant|baby|resident|pt|him|her|mother|client)"
_PHOTO = (
    r"photo(?:graph)?s?(?!\w)|photograph(?:ed|ing|ic|y|er)|photo[\s-]?(?:documentation|documented|id|of|release|consent)|"
    r"(?:full|frontal)[\s-]?(?:face|facial)\s(?:images?|pictures?|shots?|views?|stills?|frames?)|face\s(?:images?|pictures?|shots?)|"
    r"(?:frontal|profile|close[\s-]?up)\s(?:and\s\w{1,12}\s)?(?:views?|images?|shots?|pictures?)\sof\s(?:the\s|his\s|her\s)?(?:face|head)|"
    r"close[\s-]?ups?\sof|(?:phone|digital|clinic|ipad|body)\s?camera|"
    r"selfies?|head\s?shots?|mug\s?shots?|portraits?|snapshots?|polaroids?|screen\s?shots?\sof|webcam|passport\spictures?|"
    rf"(?:pics?|pictures?|images?|videos?|stills?)\s(?:of\s(?:(?:the|his|her|their|this|pt's|patient's|full|whole|entire)\s){{0,2}}{_SEEN}|taken|attached|"
    r"uploaded|saved|emailed|texted|scanned\sin|in\s(?:the\s)?chart|on\sfile)|(?:facial|face)\simages?|"
    r"(?:his|her|their|patient's|pt's|the|id|badge|chart|profile)\s(?:pics?|pictures?)(?!\w)|(?:pics?|pictures?|images?)\s(?:was|were|is|are)\s"
    r"(?:taken|attached|uploaded|saved|stored)|(?:face|features)\s(?:fully\s|clearly\s)?(?:visible|recogni[sz]able|identifiable|unobscured)|"
    r"(?:took|takes|taking|take|see\sattached|attached|uploaded|upload|sent)\s(?:a\s|the\s|some\s|two\s|several\s)?"
    r"(?:pics?|pictures?|photos?|videos?(?!\scamera))|video(?:tap(?:ed|ing)|\srecording|\srecorded)|"
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
