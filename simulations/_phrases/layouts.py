# SPDX-License-Identifier: Apache-2.0
"""The note layouts of four hospitals. Every layout serves every label: only what fills the slots differs.

A layout is an opening, then one sentence from each row of `body` in order (those after the first two are left
out about half the time, whatever the label), then administrative lines, then a signature.
Slots about the illness: complaint, finding, study, drug, plan, name (another of the same kind: other_name, other_drug,
other_finding: those of an unrelated illness). Neutral slots: title, duration, course, exam, vitals, context.
Identifiers: patient, family, age, mrn, born, date, phone, email, ssn, address, account, url, clinician, relative.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Sentences with slots; `abbreviations` are applied to everything but planted identifiers."""

    openings: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    administrative: tuple[str, ...]
    signatures: tuple[str, ...]
    separator: str
    abbreviations: tuple[tuple[str, str], ...] = ()


LAYOUTS: dict[str, Layout] = {
    "sectioned": Layout(
        openings=(
            "Patient: {patient}, {age} years\nCC: {complaint}.",
            "{patient}, age {age}, MRN {mrn}\nCC: {complaint}.",
            "Visit {date}. {patient}, {age}.\nCC: {complaint}.",
        ),
        body=(
            (
                "HPI: {course}; also {complaint}.",
                "HPI: for {duration}, {complaint}, {course}.",
                "HPI: symptoms for {duration}, {course}, with {complaint}.",
            ),
            (
                "Exam: {finding}; {exam}. {vitals}.",
                "Exam: {vitals}. {exam}; {finding}.",
                "Exam: {finding} and {finding}. {vitals}.",
            ),
            (
                "PMH: {other_name}, on {other_drug}.",
                "PMH: {other_name}; {context}.",
                "PMH: {other_name} with {other_finding} in the past.",
            ),
            (
                "Results: {study}. {study}.",
                "Results: {study}, discussed with the patient.",
                "Results: {study}; routine bloods unremarkable.",
            ),
            (
                "Meds: {drug}, {drug}, {other_drug}.",
                "Meds: {other_drug} continued; {drug} started.",
                "Meds: {drug} and {drug}; no drug allergies.",
            ),
            (
                "Assessment: {name}.",
                "Assessment: most likely {name}.",
                "Assessment: {name} on a background of {other_name}.",
            ),
            ("Plan: {plan}. {plan}.", "Plan: {plan}, review in two weeks.", "Plan: {plan}. Written information given."),
        ),
        administrative=(
            "DOB: {born}",
            "Tel: {phone}",
            "Email: {email}",
            "SSN: {ssn}",
            "Address: {address}",
            "Account: {account}",
            "Portal: {url}",
            "MRN: {mrn}",
            "Next of kin: {relative}",
            "Next visit: {date}",
            "Emergency contact {relative}, {phone}",
        ),
        signatures=("Signed: {clinician}, MD", "Electronically signed by {clinician}", "Attending: {clinician}"),
        separator="\n",
    ),
    "narrative": Layout(
        openings=(
            "{patient} is {age} years old and came in with {complaint}.",
            "I saw {patient} ({age}) on {date} because of {complaint}.",
            "{patient}, now {age}, reports {complaint}.",
        ),
        body=(
            (
                "There was also {complaint}, present for {duration} and {course}.",
                "Over {duration} this was {course}, and {complaint} followed.",
                "{title} {family} describes {complaint} as well, {course}.",
            ),
            (
                "On examination there was {finding}, and {exam}.",
                "I found {finding}; otherwise {exam}.",
                "Examination showed {finding} and {finding}. {vitals}.",
            ),
            (
                "The history includes {other_name}, for which {other_drug} is taken, and {context}.",
                "Of note there is {other_name}, with {other_finding} recorded before; {context}.",
            ),
            (
                "Tests showed {study}. {vitals}.",
                "We obtained {study}, and {study}.",
                "Work-up revealed {study}, with routine bloods unremarkable.",
            ),
            (
                "We think this is {name} and have begun {drug}.",
                "This fits {name}; {drug} was chosen over {drug}.",
                "Our impression is {name}, and {drug} was given next to the usual {other_drug}.",
            ),
            (
                "We will {plan} and {plan}.",
                "The next step is to {plan}.",
                "It was agreed to {plan}; {title} {family} understands and agrees.",
            ),
        ),
        administrative=(
            "The family can be reached through {relative} at {phone}.",
            "Home address on file: {address}.",
            "Correspondence goes to {email}.",
            "The record number is {mrn}, born {born}.",
            "Billing account {account} applies.",
            "Social security number {ssn} was confirmed at registration.",
            "Images are kept at {url}.",
            "A follow-up is booked for {date}.",
            "{relative} drove the patient here.",
            "The previous visit was on {date}.",
        ),
        signatures=("Dictated by Dr. {clinician}.", "{clinician}, attending physician.", "Reviewed with {clinician}."),
        separator=" ",
    ),
    "telegraphic": Layout(
        openings=(
            "{patient} {age}yo c/o {complaint}.",
            "{mrn} / {patient} / {age}yo. {complaint}.",
            "{date} {patient}, {age}yo: {complaint}.",
        ),
        body=(
            (
                "Since {duration}. {complaint}. {course}.",
                "{course} x {duration}; {complaint}.",
                "Also {complaint}, {course}.",
            ),
            ("O/E {finding}. {exam}.", "O/E: {vitals}. {finding}, {finding}.", "Obs {vitals}. {exam}. {finding}."),
            (
                "Bg {other_name}, {other_drug}.",
                "Known {other_name} ({other_finding}). {context}.",
                "Bg: {other_name}. {context}.",
            ),
            ("Ix: {study}.", "Ix {study}; {study}.", "Ix: {study}, bloods otherwise ok."),
            ("Imp {name}.", "Imp: {name}. {vitals}.", "Imp: ?{name}, d/w team."),
            ("Rx {drug}, {drug}.", "Rx {drug}; cont {other_drug}.", "Started {drug}, watch {other_drug} dose."),
            (
                "To {plan}. To {plan}.",
                "For now: {plan}. Safety-net advice given to patient with leaflet.",
                "Then {plan}.",
            ),
        ),
        administrative=(
            "dob {born}",
            "ph {phone}",
            "{email}",
            "ssn {ssn}",
            "lives {address}",
            "acct {account}",
            "see {url}",
            "hosp no {mrn}",
            "NOK {relative} {phone}",
            "rv {date}",
            "last seen {date}",
            "here with {relative}",
        ),
        signatures=("{clinician}", "/{clinician}/", "sgd {clinician}"),
        separator="\n",
        abbreviations=(
            ("patient", "pt"),
            ("with", "w/"),
            ("without", "w/o"),
            ("right", "R"),
            ("left", "L"),
            ("weeks", "wks"),
            ("days", "d"),
            ("both", "bilat"),
        ),
    ),
    "letter": Layout(
        openings=(
            "Re: {patient}, {age} years old.\nDear colleague, thank you for referring this patient with {complaint}.",
            "{date}\nRe: {patient} ({age}).\nI reviewed this patient for {complaint}.",
            "Re: {patient}, born {born}, {age}.\nMany thanks for sending {title} {family}, who has {complaint}.",
        ),
        body=(
            (
                "The story is of {complaint}, {course}, over {duration}.",
                "For {duration} there has been {complaint}, {course}.",
            ),
            (
                "Clinically I noted {finding}; {exam}.",
                "There was {finding}, though {exam}. {vitals}.",
                "I could demonstrate {finding} and {finding}.",
            ),
            (
                "Investigations gave {study}.\n",
                "You kindly enclosed a report of {study}; we added {study}.\n",
                "I was shown {study}. {vitals}.\n",
            ),
            (
                "As you know, {family} also lives with {other_name} and takes {other_drug}.",
                "Previous problems are {other_name} and {other_finding}; {context}.",
            ),
            (
                "I believe that we are dealing with {name}.",
                "The working diagnosis is {name}; {drug} may be the reason for some improvement.",
                "This is in keeping with {name}.",
            ),
            (
                "Please prescribe {drug} and, if tolerated, {drug}.",
                "I have started {drug}, {other_drug} stays as it is.",
            ),
            (
                "May I ask you to {plan}.\n",
                "Our team will {plan} and {plan}.\n",
                "I would like to {plan} before the next appointment.\n",
            ),
        ),
        administrative=(
            "We will meet again on {date}.",
            "Telephone: {phone}.",
            "Copy to {email}.",
            "Our reference {mrn}.",
            "Account no. {account}.",
            "Address: {address}.",
            "Insurance identity {ssn}.",
            "Results online: {url}.",
            "Carer: {relative}.",
            "Born {born}.",
        ),
        signatures=("Yours sincerely,\n{clinician}", "With kind regards\n{clinician}", "{clinician}\nConsultant"),
        separator=" ",
    ),
}

NEUTRAL: dict[str, tuple[str, ...]] = {
    "duration": (
        "two days",
        "about ten days",
        "three weeks",
        "two months",
        "half a year",
        "several weeks",
        "five days",
        "a month",
    ),
    "course": (
        "slowly getting worse",
        "coming and going",
        "gradual in onset",
        "worse since last week",
        "unchanged by rest",
        "better in the mornings",
        "limiting daily activities",
        "not seen before",
        "worse than last year",
        "noticed after a long trip",
    ),
    "exam": (
        "heart sounds normal and lungs clear",
        "abdomen soft and chest clear",
        "reflexes equal, abdomen not tender",
        "pupils equal and heart regular",
        "no focal weakness, bowel sounds present",
        "no edema, belly soft, lungs clear",
        "cranial nerves intact and no murmur",
        "breathing unlabored, power full",
        "general examination unremarkable",
    ),
    "context": (
        "works night shifts in a bakery",
        "stopped smoking ten years ago",
        "drinks two glasses of wine a week",
        "lives alone on the third floor",
        "appendix removed as a child",
        "knee replaced some years ago",
        "retired school caretaker",
        "family history unremarkable",
        "walks the dog daily",
        "allergic to penicillin, a rash",
        "looks after two grandchildren",
        "mild hearing loss",
    ),
}
