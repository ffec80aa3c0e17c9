# SPDX-License-Identifier: Apache-2.0
"""Cues of biometric identifiers (Safe Harbor row 16): the record is flagged, the words stay.

What identifies is no text, it lies in another file; the flag tells the site which records point to one. Words that have
a meaning in medicine as well (a footprint of a tendon, a thumbprint sign, a retinal scan, a biometric screening, voice
recognition that took dictation) count only where their sentence says that somebody was identified or enrolled.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.find.recognizers._sentences import after, before, sentence
from privacy.text.settings import TextSettings


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


_BODY = (
    r"(?:iris(?:es)?|retinas?|retinal|facial|face|palms?|palmar|fingers?|fingertips?|thumbs?|hands?|veins?|vascular|wrist|ears?|"
    r"voice|vocal|gait|eyes?|knuckles?|heartbeat|keystrokes?|typing|(?:index|middle|ring|little)\sfingers?|digits?)"
)
_ACTS = (
    r"(?:recognition|recogni[sz]ed|verification|verified|authenticat(?:ion|ed)|identification|geometry|biometrics?|unlock(?:ed)?|"
    r"log[\s-]?in|login|log[\s-]?on|sign[\s-]?in|check[\s-]?in|clock[\s-]?in|templates?|enrol(?:l|led|lment|lments|ment)|"
    r"id|signatures?|match(?:ed|es|ing)?|codes?|minutiae)"
)
_READS = (
    r"(?:scan(?:s|ned|ner|ners|ning)?|readers?|read|sensors?|captur(?:e|es|ed|ing)|images?|patterns?|maps?|data|files?|samples?|"
    r"impressions?|photos?|photographs?|pictures?|readings?|recordings?|prints?|access|models?|records?|registered|registration|shape|measurements?)"
)
_WAS = r"(?:(?:was|were|is|are|has\sbeen|have\sbeen|id)\s)?"
_OWN = (
    r"(?:(?:the|a|an|his|her|their|both|left|right|either|one|each|l|r|"
    r"patient's|pt's|mother's|mom's|baby's|infant's|same|\w{2,12}'s)\s){0,3}"
)

_PRINTS = (
    r"(?:finger|palm|hand|voice|face|iris|ear|lip|nose|vocal\s|sole|heel|toe)[\s-]?(?:prints?|printing|printed)|dactylo\w+|"
    r"(?:ten|10)[\s-]?prints?(?:\scards?)?|live[\s-]?scan(?:ned)?|a?afis|iafis|"
    r"(?:print|fingerprint)\s(?:cards?|templates?|readers?|scans?|sheets?|files?)|"
    r"(?:rolled|latent|inked|ink|digital|elimination|known|thumb\sand\s\w+)\sprints|"
    r"prints\s(?:(?:were|was|are|have\sbeen|on|had\sbeen|also)\s){0,2}(?:taken|rolled|lifted|obtained|stored|(?:on\s)?file|captured|enrolled|"
    r"matched|run|submitted|inked|collected|recorded|sent|cleared|compared)|prints\sof\s" + _OWN + _BODY + "|"
    r"(?:by|fbi|police|state|sheriff's?|jail|his|her|their)\sprints|prints\s(?:required|needed|pending|due)|"
    r"(?:thumb|finger|palm|sole|foot)[\s-]?(?:tip\s)?(?:impressions?|marks?)|(?:feet|foot|soles?|hands?|palms?|thumbs?|fingers?|heels?)\s(?:were\s|was\s)?inked|"
    r"(?:set|sets|copy|copies)\sof\s(?:\w+\s)?(?:finger|foot|palm)?prints|"
    rf"(?:rolled|inked|took|obtained|recorded|lifted|pressed)\s{_OWN}(?:\w+\s)?(?:thumb|finger|palm|foot|hand)?(?:\s)?prints?"
)
_DOUBLE = r"(?:foot|thumb)[\s-]?(?:prints?|printed|printing)"
_MACHINE = (
    rf"{_BODY}(?:[\s/-]{{1,2}}(?:and\s|or\s)?(?:vein|print|{_BODY}))?[\s-]{{1,2}}{_WAS}{_ACTS}|"
    r"(?:palm|finger|hand)[\s-]?veins?|face\s?id|touch\s?id|hand\s?punch|palmsecure|rightpatient|irisguard|windows\shello|aadhaar|"
    r"biometric\w*|bio-metric\w*|speaker\s(?:verification|recognition|identification|id)|voice[\s-]?(?:id|identifiers?|identification|pass(?:word|phrase|code)|key)|"
    r"DNA\s(?:profiles?|fingerprint\w{0,3}(?!\sanaly)|samples?\s(?:kept|stored|taken)|identification)|genetic\sfingerprint\w{0,3}"
)
_READ = (
    rf"{_BODY}(?:[\s/-]{{1,2}}(?:and\s|or\s)?(?:vein|print|{_BODY}))?[\s-]{{1,2}}{_WAS}{_READS}|"
    rf"(?:scan(?:s|ned|ning)?|prints?|images?|templates?|captur(?:e|es|ed|ing)|registered|enrol(?:l|ls|led|ling)|recordings?|samples?|"
    rf"impressions?|measurements?|reads?|reading|recorded)\s(?:of\s|by\s|with\s|using\s|for\s)?{_OWN}{_BODY}"
)
_GIVEN = (
    rf"(?:by|with|via|using|accepts?|accepted|recogni[sz]es?|presents?|presented|placed|places|pressed|presses|held|put|touch(?:es|ed)?)\s{_OWN}"
    r"(?:thumb|finger|palm|face|iris|eye|voice|retina|index\sfinger|fingertip)"
)
_KNOWN = (
    r"identi(?:ty|ties|fy|fies|fied|fying|fication|fier|fiers)|verif\w+|authentic\w+|enrol\w*|re-enrol\w*|check(?:s|ed)?[\s-]?in|"
    r"sign(?:s|ed)?[\s-]?in|log(?:s|ged|ging)?(?:\s(?:him|her|them|me))?[\s-]?(?:in|on)|hospital\sapp|linked|on\srecord|military|clock\w*|kiosks?|unlock\w*|badges?|templates?|scanners?|"
    r"turnstiles?|biometric\w*|door|cabinets?|pyxis|omnicell|dispens\w+|on\sfile|stored|stores|database|police|sheriff|"
    r"law\senforcement|coroner|medical\sexaminer|immigration|refugee|unhcr|background\scheck|unidentified|john\sdoe|jane\sdoe|passport|visa|"
    r"time\sclock|timeclock|registration|registry|security|vault|controlled\ssubstance|methadone|password|passcode|pin|caller|"
    r"match(?:ed|es|ing)?|readers?|terminal|front\sdesk|entry|entrance|workstation|border|customs|camp|airport|prison|jail|detention|custody|duplicate|impersonat\w+|smart\s?phone|login"
)
_IDENTIFIES = _compiled(_KNOWN)
_IDENTITY = _compiled(
    r"identi\w+|verif\w+|authentic\w+|enrol\w*|log[\s-]?in|check[\s-]?in|kiosks?|unlock\w*|border|camp|refugee|unhcr|immigration|military|"
    r"police|security|vault|biometric\w*|badges?|templates?"
)
"""Of a picture of an eye: eye clinics store them too."""
_BY_MACHINE = _compiled(
    r"scanners?|readers?|sensors?|kiosks?|apps?|unlock\w*|logs?\s(?:\w+\s)?(?:in|on)|logged\sin|log[\s-]?in|authentic\w+|verif\w+|identity|"
    r"templates?|enrol\w*|time[\s-]?clock|clock(?:s|ed)?\sin|dispens\w+|pyxis|omnicell|methadone|terminal|sign(?:s|ed)?\s(?:\w+\s)?in|biometric\w*"
)
_BORN = _compiled(
    r"newborns?|neonat\w+|bab(?:y|y's|ies)|infants?|birth\w*|inked|ink|keepsakes?|memory|bereavement|mold|mould\w*|crib|nursery|mother|"
    r"mom|deliver\w+|stamp\w*|certificate|stillb\w+|fetal\sdemise|" + _KNOWN
)
_CLINICAL_PRINT = re.compile(
    r"[\s-](?:sign(?!\w)|siz\w+|lik\w+|dystroph\w*|bod(?:y|ies)|profiles?\s(?:on|of|in)|inclusion\w*|pattern\w*\s(?:of|on|in)|intracell\w*|"
    r"accumul\w*|edema|appearance|myopath\w*|curvilin\w*|analys\w*|cloning|screening|techniques?|assays?|clon\w+|craft\w*|hemorr\w*|lesion\w*|line\w*)",
    re.IGNORECASE,
)
_CLINICAL_BEFORE = re.compile(
    r"(?:map[\s-]dot|dot|peptide|mass|mr|molecular|bacterial|strain|plasmid|dideoxy|pcr|alu|rflp|carbon|digital|ecological|restriction|tendon|cuff|"
    r"(?:no|absen\w+|loss|lack|worn|faded)(?:\sof)?)(?:\s\w+)?[\s-]$",
    re.IGNORECASE,
)
_DICTATED = _compiled(
    r"dictat\w+|transcri\w+|typograph\w+|software|proofread\w*|syntax|grammar\w*|grammatical|sound-alike|errors?|"
    r"dragon|m\*?modal|fluency|documentation"
)
_BY_VOICE = _compiled(
    r"caller|enrol\w*|authentic\w+|biometric\w*|voice\s?prints?|templates?|passphrase|identity|hotline"
)
_LENS = _compiled(r"lens(?:es)?|contacts?|iol")
_THUMB_SIGN = _compiled(
    r"colon\w*|colitis|bowel|films?|x-?rays?|CT|isch\w+|epiglott\w*|mucosa\w*|barium|edema\w*|bruis\w*|radiograph\w*|hemorrh\w+"
)
_MEASURES = _compiled(
    r"screen\w*|bpd|fetal|fetus|gestation\w*|ultraso\w+|ocular|axial|lens|iol|keratometry|a-scan|wellness|bmi|cholesterol|glucose|"
    r"blood\spressure|height|weight|vitals?|waist|labs?|telemonitor\w*|rpm|incentive|parameters"
)
_FACES = _compiled(
    r"prosopagnos\w*|agnosi\w*|deficits?|impair\w+|difficult\w*|emotion\w*|famous|familiar|memory|test\w*|neuropsych\w*|score\w*|autis\w*"
)
_VEINS = _compiled(
    r"dialysis|fistula|graft|iv|catheter\w*|cannul\w*|varic\w*|thromb\w*|venipuncture|needle|doppler|distal|dorsal\w*"
)


def _says(match: re.Match[str], *heads: str) -> bool:
    return any(head in match.group().lower() for head in heads)


def _prints(match: re.Match[str]) -> bool:
    if _CLINICAL_BEFORE.search(before(match, 40)) or _CLINICAL_PRINT.match(after(match, 30)):
        return bool(_IDENTIFIES.search(sentence(match)))
    return True


def _footprint(match: re.Match[str]) -> bool:
    whole = sentence(match)
    if _CLINICAL_BEFORE.search(before(match, 40)) or _CLINICAL_PRINT.match(after(match, 30)):
        return False
    if _says(match, "thumb"):
        return not _says(match, "printing") and not _THUMB_SIGN.search(whole)
    return bool(_BORN.search(whole))


def _machine(match: re.Match[str]) -> bool:
    whole, rest = sentence(match), before(match) + after(match)
    if _says(match, "voice", "speaker", "speech"):
        return not _DICTATED.search(whole) or bool(_BY_VOICE.search(rest))
    return bool(_IDENTIFIES.search(rest)) or not _means_medicine(match, whole, rest)


def _means_medicine(match: re.Match[str], whole: str, rest: str) -> bool:
    """Whether a sentence that names no identity most likely speaks of an organ, a test or a lens."""
    if _says(match, "match", " code") or (_says(match, "template") and _LENS.search(rest)):
        return True
    if _says(match, "biometric"):
        return bool(_MEASURES.search(whole))
    if _says(match, "face recogn", "facial recogn", "facial identif", "face match", "facial match"):
        return bool(_FACES.search(whole))
    if _says(match, "vein", "vascular", "gait ", "eye", "hand ", "heartbeat", "digit", "wrist", "ear "):
        checks = _says(match, "geometry", "recogni", "authent", "verif", "palm vein", "palm-vein")
        return not checks or bool(_VEINS.search(whole))
    return False


def _read(match: re.Match[str]) -> bool:
    """A body part and a reading of it: of a person's identity only if the rest of the sentence says so."""
    rest = before(match, 100) + " | " + after(match, 100)
    eye = _says(match, "retina", "iris", "eye") and _says(match, "image", "photo", "picture")
    return bool((_IDENTITY if eye else _IDENTIFIES).search(rest))


def _given(match: re.Match[str]) -> bool:
    """A body part held to something: to a machine that knows people by it."""
    return bool(_BY_MACHINE.search(before(match, 100) + " | " + after(match, 100)))


def build(settings: TextSettings) -> Rules:
    """The recognizer of biometric identifiers; needs no settings."""
    return Rules(
        "biometrics",
        [
            PatternRule(
                "BIOMETRIC",
                0.6,
                _compiled(_PRINTS),
                keep=_prints,
                needs=("print", "live", "afis", "dactylo", "impression", "inked"),
            ),
            PatternRule("BIOMETRIC", 0.6, _compiled(_DOUBLE), keep=_footprint, needs=("print",)),
            PatternRule("BIOMETRIC", 0.6, _compiled(_MACHINE), keep=_machine),
            PatternRule("BIOMETRIC", 0.6, _compiled(_READ), keep=_read),
            PatternRule("BIOMETRIC", 0.6, _compiled(_GIVEN), keep=_given),
        ],
    )
