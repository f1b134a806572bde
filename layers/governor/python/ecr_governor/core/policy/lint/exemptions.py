"""Exemptions that spare nothing, or too much."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.documents.lifecycle import is_wider
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import Undecided
from ecr_governor.core.policy.lint.names import namespaces_of, possible_like
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import EVERY_RULE, Exemption, Mode, Policy
from ecr_governor.core.rules import RULES

SOON: Final = timedelta(days=14)
FOR_EVER: Final = timedelta(days=5 * 365 + 1)
_PIECE: Final = 24


def found(reading: Reading, now: datetime) -> Iterator[Found]:
    """Tell which exemptions are in vain, over, or for ever."""
    policy, pieces = reading.policy, _Pieces(reading.policy.exemptions)
    for index, exemption in enumerate(policy.exemptions):
        at: Path = ("exemptions", index)
        yield from _term(exemption, at, now)
        try:
            if possible_like(exemption.match) is None:
                do = "ECR's names are made of a-z, 0-9 and single . _ - / between them; correct it, or remove the exemption"
                yield Found("exemption-matches-nothing", (*at, "match"), f"no repository name is like {exemption.match!r}", do)
                continue
            yield from _rules(exemption, policy, at)
        except Undecided:
            yield undecided((*at, "match"), f"{exemption.match!r} allows too much to be compared with the namespaces")
        yield from _twice(exemption, at)
        yield from _redundant(index, policy, pieces)


def _term(exemption: Exemption, at: Path, now: datetime) -> Iterator[Found]:
    left = exemption.ends - now
    if left <= timedelta(0):
        ago = (now - exemption.ends).days
        what = f"ended {'today' if ago == 0 else 'yesterday' if ago == 1 else f'{ago} days ago'}, after {exemption.expires}"
        yield Found("exemption-expired", (*at, "expires"), what, "remove it; or, if its reason still holds, give it a new day")
    elif left <= SOON:
        what = f"ends after {exemption.expires}; {exemption.owner} answers for it"
        yield Found("exemption-ends-soon", (*at, "expires"), what, "see to it that the reason is gone by then, or give it a new day")
    elif left > FOR_EVER:
        what = f"lasts until {exemption.expires}"
        yield Found("exemption-for-ever", (*at, "expires"), what, "name a day within a year; or change the policy, if it asks too much")


def _twice(exemption: Exemption, at: Path) -> Iterator[Found]:
    for place, rule_id in enumerate(exemption.rules):
        if rule_id in exemption.rules[:place]:
            yield Found("exemption-rule-twice", (*at, "rules", place), f"{rule_id} stands there already", "name it once")
        elif rule_id != EVERY_RULE and EVERY_RULE in exemption.rules:
            yield Found("exemption-rule-twice", (*at, "rules", place), f"{EVERY_RULE} stands for {rule_id} as well", "name one of the two")


def _rules(exemption: Exemption, policy: Policy, at: Path) -> Iterator[Found]:
    if EVERY_RULE in exemption.rules or policy.mode is Mode.OFF:
        return
    namespaces = namespaces_of(exemption.match, policy)
    for place, rule_id in enumerate(exemption.rules):
        on = [namespace for namespace in namespaces if policy.mode_of(rule_id, namespace) is not Mode.OFF]
        where = " and ".join(sorted(namespaces))
        if not on:
            everywhere = all(policy.mode_of(rule_id, namespace) is Mode.OFF for namespace in {ROOT, *policy.namespaces})
            what = f"the rule {rule_id} is off" + ("" if everywhere else f" in {where}")
            yield Found("exemption-of-nothing", (*at, "rules", place), what, "remove it from the exemption")
        elif not any(_asks(policy, rule_id, namespace) for namespace in on):
            what = f"nothing is asked for by the rule {rule_id} in {where}"
            yield Found("exemption-of-nothing", (*at, "rules", place), what, "remove it from the exemption")


def _asks(policy: Policy, rule_id: str, namespace: str) -> bool:
    return RULES[rule_id].applies(policy.expectation_for("any" if namespace == ROOT else f"{namespace}/any"))


class _Pieces:
    """Exemptions by a piece of the text in their globs, so that of many not each has to be compared with each."""

    def __init__(self, exemptions: Sequence[Exemption]) -> None:
        self._places: dict[int, dict[str, list[int]]] = {}
        for place, exemption in enumerate(exemptions):
            piece = max(exemption.match.split("*"), key=len)[-_PIECE:]
            self._places.setdefault(len(piece), {}).setdefault(piece, []).append(place)

    def within(self, glob: str) -> list[int]:
        """Give the places of those whose piece is in the glob: no other one can cover it."""
        return sorted(
            {
                place
                for length, places in self._places.items()
                for start in range(len(glob) - length + 1)
                for place in places.get(glob[start : start + length], ())
            }
        )


def _redundant(index: int, policy: Policy, pieces: _Pieces) -> Iterator[Found]:
    exemption = policy.exemptions[index]
    for place in pieces.within(exemption.match):
        other = policy.exemptions[place]
        if place == index or not _covers(other, exemption):
            continue
        # Of two that say the same, the later one is the one too many.
        if _covers(exemption, other) and place > index:
            continue
        what = f"the exemption of {other.match!r} covers it and lasts until {other.expires}"
        yield Found("exemption-redundant", ("exemptions", index, KEY), what, "keep one of them")
        return


def _covers(one: Exemption, other: Exemption) -> bool:
    return (
        one.expires >= other.expires
        and (EVERY_RULE in one.rules or set(other.rules) <= set(one.rules))
        and is_covering(one.match, other.match)
    )


def is_covering(glob: str, other: str) -> bool:
    """Whether every name that is like the other glob is like this one; no where `?` leaves it open."""
    return glob == other or ("?" not in glob + other and is_wider(glob, other))
