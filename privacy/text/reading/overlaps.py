# SPDX-License-Identifier: Apache-2.0
"""Findings that overlap become disjoint ones, and no character that any of them reported is left out.

Rules: findings of one type that overlap are one, their union; where types differ, the strongest keeps its whole span
(the highest score, then the longest, then the alphabet) and what is left of a weaker one keeps its own type if it can
stand alone: it holds two letters or digits and is not cut out of a word. A smaller rest joins its stronger neighbour.
Findings that only touch, or that stand side by side, stay apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from privacy.text.reading.records import Finding, in_order

Fragment = tuple[int, int, Finding]
"""Characters [start, end) of the text, and the finding that they belong to."""


def disjoint(text: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """`findings` (each inside `text`) as disjoint, sorted findings. White space at a cut may be left out."""
    clusters = _clusters(in_order(_by_type(findings)))
    return tuple(finding for cluster in clusters for finding in _resolve(text, cluster))


def _strength(finding: Finding) -> tuple[float, int, str, str, int]:
    """Sorts the strongest first."""
    return (-finding.score, finding.start - finding.end, finding.entity_type, finding.recognizer, finding.start)


def _clusters(findings: list[Finding]) -> list[list[Finding]]:
    """Sorted findings in groups that share characters."""
    groups: list[list[Finding]] = []
    end = -1
    for finding in findings:
        if finding.start < end:
            groups[-1].append(finding)
        else:
            groups.append([finding])
        end = max(end, finding.end)
    return groups


def _by_type(findings: Iterable[Finding]) -> list[Finding]:
    """Overlapping findings of one type as their union, named by the strongest."""
    united = []
    by_type: dict[str, list[Finding]] = {}
    for finding in in_order(set(findings)):
        by_type.setdefault(finding.entity_type, []).append(finding)
    for same in by_type.values():
        for group in _clusters(same):
            if len(group) == 1:
                united += group
                continue
            best = min(group, key=_strength)
            end = max(finding.end for finding in group)
            united.append(Finding(group[0].start, end, best.entity_type, best.score, best.recognizer))
    return united


def _resolve(text: str, cluster: list[Finding]) -> list[Finding]:
    if len(cluster) == 1:
        return cluster
    pieces = _absorb(text, _painted(cluster))
    return [
        Finding(*_trimmed(text, piece), finding.entity_type, finding.score, finding.recognizer)
        for piece in pieces
        for finding in (piece[2],)
    ]


def _painted(cluster: list[Finding]) -> list[Fragment]:
    """The cluster's characters, each with the strongest finding that reported it, as runs."""
    first = cluster[0].start
    owners = [cluster[0]] * (max(finding.end for finding in cluster) - first)
    for finding in sorted(cluster, key=_strength, reverse=True):
        owners[finding.start - first : finding.end - first] = [finding] * (finding.end - finding.start)
    pieces, start = [], first
    for owner, run in groupby(owners):
        end = start + sum(1 for _ in run)
        pieces.append((start, end, owner))
        start = end
    return pieces


def _absorb(text: str, pieces: list[Fragment]) -> list[Fragment]:
    """The pieces, each rest that cannot stand alone joined to its stronger neighbour. The strongest piece is whole."""
    done: list[Fragment] = []
    waiting = list(reversed(pieces))
    while waiting:
        piece = waiting.pop()
        if _stands_alone(text, piece):
            done.append(piece)
            continue
        left, right = done[-1] if done else None, waiting[-1] if waiting else None
        if right is None or (left is not None and _strength(left[2]) < _strength(right[2])):
            done[-1] = (done[-1][0], piece[1], done[-1][2])
        else:
            waiting[-1] = (piece[0], right[1], right[2])
    return done


def _stands_alone(text: str, piece: Fragment) -> bool:
    start, end, finding = piece
    if start <= finding.start and finding.end <= end:
        return True
    cut_in_word = (start > finding.start and _inside_word(text, start)) or (
        end < finding.end and _inside_word(text, end)
    )
    return not cut_in_word and sum(character.isalnum() for character in text[start:end]) >= 2


def _inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def _trimmed(text: str, piece: Fragment) -> tuple[int, int]:
    """The piece without white space where it was cut."""
    start, end, finding = piece
    while start > finding.start and start < end - 1 and text[start].isspace():
        start += 1
    while end < finding.end and start < end - 1 and text[end - 1].isspace():
        end -= 1
    return start, end
