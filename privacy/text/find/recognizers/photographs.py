# SPDX-License-Identifier: Apache-2.0
"""Cues of photographs and comparable images of a person (Safe Harbor row 17): the record is flagged, the words stay.

A photograph counts where it is of a person, or where nothing says of what. It does not count where the words say that
it is of something else (the inside of a body, a fundus, a specimen, a label, a feeding log), that none was taken, or
where "picture" is a figure of speech. "Image" and "video" need more: of whom, or what took or sent it, since most
images in notes are radiology's.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.find.recognizers._sentences import after, before, line, sentence
from privacy.text.settings import TextSettings


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


_DET = r"(?:(?:the|a|an|his|her|their|this|both|my|our|full|whole|entire|patient's|pt's|child's|baby's|resident's)\s)"
_WHO = (
    r"(?:patients?|pts?|faces?|facial\s(?!nerve|bone|fract|canal|sinus|recess|arter|vein)\w+|facies|him|them|himself|herself|"
    r"her(?=\s*(?:[.,;:)]|$|(?:in|at|with|from|on|and|was|is|taken|sent|by|to|as|before|after|when|while|wearing|holding|smiling)\b))|"
    r"child|infant|baby|newborn|neonate|toddler|"
    r"resident|client|mother|father|mom|dad|parents?|family|veteran|victim|subject|decedent|smile|profile|features|"
    r"(?:boy|girl|man|woman|lady|gentleman|son|daughter|spouse|husband|wife|donor|member|student|person|individual))"
)
_STILL = (
    r"(?:photos?|photo(?:graph)?s|photograph\w{0,3}|fotos?|pics?|pix|pictures?|images?|shots?|stills?|views?|frames?|"
    r"snapshots?|snaps?|thumbnails?|close[\s-]?ups?|videos?|clips?|footage|recordings?|jpe?gs?)"
)
_LIKENESS = (
    r"(?:photos?|photo(?:graph)?s|photograph\w{0,3}|fotos?|pics?|pix|pictures?|images?|shots|stills|views|snapshots?|close[\s-]?ups?|"
    r"videos?|jpe?gs?)"
)
_TOOK = (
    r"(?:took|takes?|taken|taking|snapped|snaps|sent|sends|sending|texted|emailed|e-mailed|messaged|uploaded|uploads?|"
    r"attached|attach(?:es)?|submitted|submits|brought|brings|shared|shares|shows?|showed|scanned|posted|forwarded|faxed|"
    r"obtained|reviewed|saved|provided|captured|has|have|see|clipped|glued|taped|stapled|pinned|placed|hung|affixed|framed|given|gave|keeps?|kept)"
)
_KEPT = (
    r"(?:taken|attached|uploaded|saved|stored|submitted|sent|emailed|e-mailed|texted|shared|posted|obtained|"
    r"received|filed|scanned|imported|printed|brought|supplied|given|shown|added|pasted|placed|captured|provided|available|included|enclosed|kept|on\sfile|"
    r"in\s(?:the\s|his\s|her\s)?(?:chart|record|file|folder|media(?:\stab)?|emr|ehr|epic|portal|notes?)|"
    r"via\s(?:the\s)?(?:portal|mychart|text|email|phone))"
)
_DEVICE = (
    r"(?:i?phones?|smart\s?phones?|cell(?:\s?phone)?|mobile|i?pads?|tablet\scomputer|cameras?|webcams?|portal|mychart|"
    r"haiku|canto|telehealth|telemedicine|tele-?derm\w*|video\s(?:visit|call|feed)|zoom|facetime|skype|whatsapp|"
    r"bodycam|dash\s?cam|cctv|surveillance|security\s(?:video|footage)|drone)"
)

_TAKEN_BY = ("video", "telehealth", "zoom", "webcam", "captured", "camera", "cctv", "a")

_SURE = (
    r"selfies?|selfy|head[\s-]?shots?|mug[\s-]?shots?|(?<!self-)(?<!self\s)portraits?(?!\s(?:mode|orientation))|polaroids?|"
    r"(?:full|frontal|whole|entire)[\s-]?(?:face|facial|body|length)\s(?:and\s\w{1,12}\s)?" + _LIKENESS + "|"
    r"(?:face|facial|smile)[\s-]" + _LIKENESS + r"(?!\sof\sthe\s(?:bones?|fractures?|sinus))|"
    rf"{_LIKENESS}\s(?:clearly\s|that\s|which\s)?(?:of|showing|shows?|depict(?:s|ing)|with|include[sd]?|including|containing)\s"
    rf"{_DET}{{0,3}}(?:\w{{1,14}}\s)?(?:faces?|facial|facies|features|smile|selfie)(?!\s(?:nerve|bone|fract|canal|sinus|recess|arter|vein))|"
    rf"{_STILL}\s(?:of|showing|depicting)\s{_DET}{{0,3}}(?:\w{{1,14}}\s)?{_WHO}(?!['\w])(?!\s(?:bones?|skull|sinus\w*))|"
    r"(?:frontal|front|profile|lateral|oblique|three[\s-]quarter|basal|side|en\sface)"
    r"(?:\sand\s\w{1,12}|,\s\w{1,12}){0,3}\s(?:photos?|photographs?|shots?|portraits?)|"
    r"(?:frontal|profile|close[\s-]?up|full)\s(?:and\s\w{1,12}\s)?views?\sof\s(?:the\s|his\s|her\s)?(?:face|head)|"
    r"(?:clinical|patient|wound|derm\w{0,9}|before[\s-]and[\s-]after|before/after|extra-?oral|badge|passport|"
    r"profile|yearbook|identifiable|recogni[sz]able|unredacted|id)\s(?:images?|(?<!clinical\s)pictures?|pics?|pix|shots|stills)|"
    r"(?:patient|resident|child|client)'s\s(?:image|likeness)(?!\w)|"
    r"(?:clinical|medical)\s(?:phot(?:o|os|og|ogs)?(?!\w)|illustrations?)|photo[\s-]?booth|yearbook|"
    r"(?:face|faces|features|identity)\s(?:is\s|are\s|was\s|were\s|not\s|fully\s|clearly\s|easily\s|un)?(?:not\s|fully\s|clearly\s|easily\s)?"
    r"(?:visible|recogni[sz]able|identifiable|unobscured|unmasked|blurred|pixelated|cropped|redacted|shown\sin)|"
    r"(?:his|her|their|patient's|pt's)\slikeness|likeness\sof|"
    rf"(?:image|video|media|likeness|photo\w*)\s(?:release|consent)|(?:use|release)\sof\s{_DET}{{0,1}}(?:image(?!\s(?:intens|guid|proc|anal))|likeness|photo\w*)|"
    r"face\s(?:is\s)?(?:printed\s|shown\s)?on\s(?:the\s|his\s|her\s)?(?:wristband|badge|card|bracelet|screen|banner|poster)|"
    r"video[\s-]?tap(?:ed|ing|e\sof)|(?:phone|home|family's|mom's|mother's|parent's|cell\sphone)\svideos?|"
    r"(?:body|dash|security|surveillance)[\s-]?(?:worn\s)?(?:cam(?:era)?)\s(?:footage|video|stills?|images?)|cctv\s\w+"
)
_FILE = r"[\w-]{1,40}\.(?:jpe?g|png|heic|tiff?|bmp|mp4|mov|gif)"
_PHOTO = (
    r"photo(?:s|'s|\(s\)|'d|ed)?(?![\w'])|foto(?:s|grafie\w?)?|photograph(?:s|ed|ing|ic|ically|y|er|ers|\(s\))?|pics?|pix|jpe?gs?|"
    r"photo[\s-]?doc(?:s|umentation|umented|umenting|ument|ument(?:s|ary))?"
)
_NO_PHOTO = re.compile(  # light, not likeness: photo-ablation, photo treatments, photo sensitivity
    r"[\s-]{1,3}(?:ablat|treat|therap|sensi|ag(?:ed|e?ing)|damag|coag|phob|toxic|allerg|dynamic|refract|kerat|derm|protect|patch|"
    r"expos|bleach|react|recept|stimul|driv|pleth|chemo|pher|distrib|erupt|onych|induc|aggrav|rejuv|epil|therm|disrupt|"
    r"vapor|fragment|select|lys|met(?:er|r)|micrograph|avers|finish|memory|multip|electr|cut|copy|copies|switch)",
    re.IGNORECASE,
)
_PICTURE = (
    rf"(?:{_TOOK}|photo)\s(?:(?:a|the|some|two|three|several|multiple|many|more|new|few|\d{{1,2}}|her|his|their|us|me|in|him)\s){{0,3}}"
    r"(?:(?!big|clear|whole|full|overall|clinical|larger|naming|mixed)\w{3,12}\s)?(?:pictures?|snapshots?|snaps|stills|screen[\s-]?(?:shots?|grabs?|caps?))|"
    r"pictures?\sfrom|pictures?\s(?:that\s|which\s)?(?:she|he|they|mom|mother|family|wife|husband|daughter|son|patient|pt|parents?|i|we|rn|nurse)\s"
    r"(?:took|takes|sent|sends|brought|has|showed|shows|uploaded|submitted|posted|emailed)|"
    r"(?:with|bears|bearing|shows|carries|has)\s(?:a\s|his\s|her\s|own\s)?picture(?=\s(?:is|was|on|in|copied|scanned)|\s?[.,;)])|pictures(?!\s(?:are|is|were)\smade|\s\w+sel(?:f|ves))|"
    r"(?:small|recent|old|older|new|current|framed|wallet|school|family|baby|wedding|cell|phone|cell[\s-]phone)[\s-]pictures?|"
    rf"(?:pictures?|snapshots?|snaps|stills|(?:{'|'.join(_TAKEN_BY)})\sstill)\s(?:(?:was|were|is|are|has\sbeen|have\sbeen|to\sbe|also|then|now|being)\s){{0,2}}{_KEPT}|"
    r"(?:his|her|their|patient's|pt's|id|badge|chart|profile|passport|license|wedding|school|family|portal)\s"
    r"(?:pictures?)(?=\s(?:is|was|on|in|with|from|taken|attached|appears|matches)(?!\sof\s)(?!\sone)(?!\sc(?:onsist|omplic|lear)))|"
    r"pictures?\sof\s(?:the\s|his\s|her\s|their\s|this\s|pt's\s|patient's\s|both\s|left\s|right\s){0,3}"
    r"(?:rash|wounds?|lesions?|skin|burns?|bruis\w+|injur\w+|ulcers?|incisions?|back|legs?|arms?|feet|foot|hands?|swelling|scars?|"
    r"eyes?|eyelids?|nose|lips?|ears?|neck|chest|moles?)"
)
_IMAGE = (
    r"(?:images?|videos?|video\sclips?|screen[\s-]?(?:shots?|grabs?|caps?|captures?)|stills|frames|shots|footage|close[\s-]?ups?|still(?=\s(?:from|of|captured|grabbed)))"
    r"(?:\s(?:was|were|is|are|has\sbeen|have\sbeen))?(?=\s)|(?:filmed|video[\s-]?record(?:ed|ing|ings)|recorded\s(?:on\s)?video)"
)
_SHOWN = (
    r"images?|pictures?|shots|stills?\s(?:frames?|images?)|stills|captures?|thumbnails?|frames?|videos?|video\sclips?|jpe?gs?|footage|"
    r"recordings?|close[\s-]?ups?|avatar|3-?dmd|stereophoto\w+|webcam"
)
_FACEISH = _compiled(
    r"faces?(?!\s(?:to|mask|masks|pain|sheet|sheets|shield|validity|scale|tent|wash|value|lift|down|scan))|"
    r"facial(?!\s(?:nerve|bones?|pain|fractures?|recess|canal|sinus\w*|artery|vein|trauma|ct|x-?rays?))|facies|smil\w+|"
    r"eyes\s(?:open|closed|visible|uncovered|not\s\w+)|craniofacial|identifiable|recogni[sz]able"
)

_FACE = _compiled(
    r"faces?|facial\w*|facies|selfies?|portraits?|head\s?shots?|full[\s-]?body|whole[\s-]body|eyes\s(?:open|visible)|smil\w+|"
    r"extra-?oral|rhinoplasty|blepharo\w+|eyelids?|recogni[sz]\w+|identifiable|cleft|"
    r"patient\sid\w*|consent\w*|media\stab|portal|mychart|badge"
)
_SCOPE = re.compile(
    r"(?<!\w)(?!steth|derm|peri|micros\w+ly)\w{2,16}scop(?:e|es|y|ies|ic|ical|ically)(?!\w)|(?<!\w)(?:EGD|ERCP|cecum|ileocecal|trocar|"
    r"insufflat\w+|arthrotom\w+|menisc\w+|chondro\w+|hysterosc\w+|retroflex\w*|laparo\w+|anchors?|sutur\w+|prepped|draped|fallopian|cannul\w+|resect\w+|fulgurat\w+|bursa\w*|incision)(?!\w)",
    re.IGNORECASE,
)
_INSIDE = (
    r"fund(?:us|i|al|oscopic)|retinas?|retinal|macul\w+|discs?|optic\s(?:nerves?|discs?)|OCT|slit[\s-]?lamp|anterior\ssegment|"
    r"angiogra\w+|fluorescein|red-free|corneal?|optos|specimens?|gross|slides?|histolog\w+|patholog\w+|micro\w+|"
    r"intra-?oral|intra-?op\w*|endo\w+|colpo\w+|cysto\w+|laparo\w+|arthro\w+|broncho\w+|hystero\w+|colono\w+|otosc\w+|cervix|cervical|mucosa\w*|polyps?|"
    r"vocal\s(?:cords?|folds?)|larynx|tympanic|TMs?|cecum|stones?|bladder|joints?|gel|blots?|smears?|embryos?|blastocysts?"
)
_IMAGING = _compiled(
    rf"{_INSIDE}|CTA?|MR[IA]?|MRCP|PET(?:[\s/-]CT)?|SPECT|transthoracic|velocity|DEXA|DXA|(?-i:US)|POCUS|ultraso\w+|sono\w+|echo\w*|x-?rays?|xr|radio\w+|"
    r"films?|fluoro\w*|C-?arm|mammo\w+|tomo\w+|PACS|Doppler|probe|transducer|axial|coronal|sagittal|T1|T2|FLAIR|DWI|contrast|"
    r"scans?|scanner|esophageal|valve|lateral|AP|oblique|needle|catheter|wire|screws?|nuclear|gated|stress|perfusion|cine|swallow\w*|"
    r"barium|weighted|isotope|tracer|hardware|vertebra\w*|lung|brain|kidney|liver|abdomen|pelvis|chest|heart|computer|dye"
)
_THING = (
    r"labels?|bottles?|box(?:es)?|packag\w+|pills?|pillbox\w*|tablets?|med(?:ication)?s?|lists?|logs?|logbook|diary|diaries|journal|meals?|plates?|"
    r"food|feed\w*|lunch|dinner|breakfast|snacks?|receipts?|bills?|forms?|letters?|documents?|paperwork|insurance|rx|prescriptions?|"
    r"glucometer|meters?|monitors?|screens?|displays?|readings?|strips?|e[ck]gs?|tracings?|rhythm|reports?|results?|labs?|stools?|"
    r"emesis|vomit\w*|urine|diapers?|napp(?:y|ies)|sputum|ticks?|bugs?|insects?|spiders?|snakes?|mushrooms?|plants?|berries|dogs?|cats?|pets?|"
    r"vehicles?|cars?|crash|scene|house|home|stairs|steps|bathroom|ramp|room|apartment|kitchen|wheelchairs?|walker|devices?|"
    r"pumps?|braces?|equipment|serial\sn\w+|barcodes?|stickers?|implants?|hardware|shoes?|x-?rays?|films?|scans?|CT|MRI|cultures?|"
    r"dish|drawings?|clock|artwork|objects?|animals?|cards|calendar|text|messages?|bp|sugars?|numbers?|data|graphs?|bedbugs?|mold|needles?|syringes?|"
    r"anatom\w+|pregnancy\stest|test\s(?:kit|strip)s?"
)
_OF_ANOTHER = re.compile(
    rf"\s*(?:was|were|is|are)?\s*(?:taken\s)?(?:of|from|showing|for)\s(?:[\w'-]{{1,14}}\s){{0,4}}?(?:{_THING}|{_INSIDE})(?!\w)",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    rf"(?<!\w)(?:{_THING}|{_INSIDE})(?:\s(?:and|or|video|color|colour|digital|clinical|\w+ing))?[\s-]{{1,2}}$",
    re.IGNORECASE,
)
_BODY_OF = _compiled(
    r"patients?|pt|him|child|baby|infant|resident|client|face|facial|selfie|wound|rash|lesion|skin|license|passport"
)
_NONE = re.compile(
    r"(?<!\w)(?:no|not|without|denies|declin\w+|refus\w+|defer\w*|unable\sto|never|did\snot|didn't)\s"
    r"(?:(?:to|be|have|been|any|the|a|take|taken|obtain|clinical|medical|further|new|consent|for|wound)\s){0,3}$",
    re.IGNORECASE,
)
_NONE_AFTER = re.compile(
    r"\s(?:(?:was|were|is|are|has|have)\s)?(?:not\s(?:been\s)?(?:taken|obtained|done|made|available|performed|possible)|declined|deferred|refused)",
    re.IGNORECASE,
)
_ID_SEEN = re.compile(r"[\s-]id(?:s|entification)?(?!\w)", re.IGNORECASE)
_COPIED = _compiled(
    r"cop(?:y|ies|ied)|scanned|on\sfile|uploaded|attached|taken|chart|saved|stored|image|glued|taped|affixed|printed|screen|mar|record"
)
_PREPOST = _compiled(r"pre-?op\w*|post-?op\w*|before|rash|wounds?|skin|burns?|scars?|bruis\w+")
_SAYS_WHO = _compiled(
    rf"{_DEVICE}|faces?|facial|selfies?|patient|pt|child|baby|infant|mom|mother|father|dad|daughter|son|wife|husband|caregiver|aide|teacher|"
    r"rash|wounds?|skin|cheeks?|lips?|nose|eye(?:s|lids?)?|lesions?|burns?|scars?|bruis\w+|identifiable|craniofacial|gait|seizures?|spells?|episodes?|events?|tics?|movements?|photo\w*|him|her"
)
_SENT = _compiled(_KEPT + "|" + _TOOK)
_NO_VIDEO = re.compile(
    r"[\s-](?:visits?|calls?|laryngo\w*|fluoro\w*|swallow\w*|assist\w*|eeg|capsule|games?|conferenc\w*|monitor\w*|broncho\w*|"
    r"consult\w*|encounter\w*|appointments?|interpret\w*|remote|link|platform|chat|session|urodynamic\w*|stream\w*|connection)",
    re.IGNORECASE,
)


_RADIOLOGY = _compiled(
    r"CTA?|MR[IA]?|PET|POCUS|ultraso\w+|sono\w+|echo\w*|x-?rays?|radio\w+|films?|fluoro\w*|mammo\w+|tomo\w+|PACS|Doppler|"
    r"axial|coronal|sagittal|T1|T2|FLAIR|contrast|fractures?|sinus\w*"
)
_LIGHT = ("photo", "foto", "pic", "pix", "selfie", "portrait", "shot", "snap", "polaroid", "close")
_AT_LEISURE = _compiled(
    r"likes?|enjoys?|loves?|hobb(?:y|ies)|interests?|interested\sin|job|occupation|works?(?:ed)?\s(?:as|in)|retired|career|amateur|"
    r"freelance|describe\w*|naming|draw\w*|books?|communication|cards|pecs|tells?\sstor\w+|cookie|studie[sd]|employed|paint\w*|drawing|exercise|educational?|instructional|teaching\svideo|training\svideo|youtube"
)

_HOBBY = _compiled(r"hobb(?:y|ies)|for\sfun")


def _none(match: re.Match[str]) -> bool:
    return bool(
        _NONE.search(before(match, 60))
        or _NONE_AFTER.match(after(match, 40))
        or _AT_LEISURE.search(before(match, 40))
        or _HOBBY.search(after(match, 40))
    )


def _of_another(match: re.Match[str]) -> bool:
    """Whether the words say that it is of a thing or of the inside of a body."""
    follows = _OF_ANOTHER.match(after(match, 80))
    if follows:
        return _BODY_OF.search(follows.group()) is None
    return bool(_ANOTHER.search(before(match, 40)))


def _in_a_body(match: re.Match[str]) -> bool:
    """Whether a scope took it: one stands near, and nothing in the sentence is of the outside."""
    return bool(_SCOPE.search(line(match, 400))) and not _PREPOST.search(sentence(match))


def _photo(match: re.Match[str]) -> bool:
    rest = match.string[match.end() : match.end() + 16]
    if _NO_PHOTO.match(rest) or _none(match):
        return False
    if _ID_SEEN.match(rest):
        return bool(_COPIED.search(sentence(match, 80)))
    return bool(_FACE.search(sentence(match, 80))) or not (_of_another(match) or _in_a_body(match))


def _picture(match: re.Match[str]) -> bool:
    whole = sentence(match)
    if _none(match):
        return False
    return bool(_FACE.search(whole)) or not (_of_another(match) or _in_a_body(match) or _IMAGING.search(whole))


def _image(match: re.Match[str]) -> bool:
    whole = sentence(match)
    if _none(match) or _of_another(match) or _IMAGING.search(whole) or _NO_VIDEO.match(after(match)):
        return False
    return bool(_SAYS_WHO.search(whole) and _SENT.search(whole)) and not _in_a_body(match)


def _shown(match: re.Match[str]) -> bool:
    """An image and a face, some words apart."""
    near = before(match, 60) + " | " + after(match, 60)
    if _none(match) or not _FACEISH.search(near) or _NO_VIDEO.match(after(match)):
        return False
    return not _RADIOLOGY.search(sentence(match)) and not _in_a_body(match)


def _sure(match: re.Match[str]) -> bool:
    light = any(word in match.group().lower() for word in _LIGHT)
    return not _none(match) and bool(light or not _RADIOLOGY.search(sentence(match)))


def build(settings: TextSettings) -> Rules:
    """The recognizer of photographs; needs no settings."""
    light = ("photo", "foto", "pic", "pix", "jp")
    still = ("picture", "snap", "stills", "screens", "screen g", "screen c", *(f"{word} still" for word in _TAKEN_BY))
    moving = ("image", "video", "clip", "screen", "still", "frame", "shots", "footage", "filmed", "close")
    return Rules(
        "photographs",
        [
            PatternRule(
                "PHOTO", 0.6, _compiled(_FILE), needs=(".jp", ".png", ".heic", ".tif", ".bmp", ".mp4", ".mov", ".gif")
            ),
            PatternRule("PHOTO", 0.6, _compiled(_SURE), keep=_sure),
            PatternRule("PHOTO", 0.6, _compiled(_PHOTO), keep=_photo, needs=light),
            PatternRule("PHOTO", 0.6, _compiled(_PICTURE), keep=_picture, needs=still),
            PatternRule("PHOTO", 0.6, _compiled(_IMAGE), keep=_image, needs=moving),
            PatternRule(
                "PHOTO", 0.6, _compiled(_SHOWN), keep=_shown, needs=("fac", "smil", "eyes", "identif", "recogni")
            ),
        ],
    )
