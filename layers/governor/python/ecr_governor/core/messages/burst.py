"""A burst of news, summed up: what happened how often, with examples. Sums add up, so that one message can tell of a burst as it goes on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ecr_governor.core.announcement import ORDER, Announcement
from ecr_governor.core.messages.text import LISTED, MARK, TEXT_LIMIT, code, counted, cut, first_of, header, listed, plain, section, where
from ecr_governor.core.severity import Severity

EXAMPLES = 4
KINDS = 20
"""Remedies in words that are counted one by one; what comes on top of them counts as `OTHER`."""
OTHER = "other remedies"


@dataclass(frozen=True, slots=True)
class Opened:
    """How often findings of one rule opened, their worst severity, and the first repositories that have them."""

    severity: Severity
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Burst:
    """The news of many repositories. `refused` are the first of the `refused_count` in which something was not put right."""

    repositories: int = 0
    examples: tuple[str, ...] = ()
    opened: Mapping[str, Opened] = field(default_factory=dict)
    put_right: Mapping[str, int] = field(default_factory=dict)
    exempted: Mapping[str, int] = field(default_factory=dict)
    resolved: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    refused_count: int = 0
    policy_hash: str = ""

    def plus(self, announcements: Iterable[Announcement]) -> "Burst":
        """Add the news of more repositories."""
        total = self
        for announcement in announcements:
            total = total._plus_one(announcement)
        return total

    def _plus_one(self, announcement: Announcement) -> "Burst":
        name, opened = announcement.repository, dict(self.opened)
        for finding in announcement.opened:
            known = opened.get(finding.rule, Opened(finding.severity, 0, ()))
            severity = min(known.severity, finding.severity, key=ORDER.index)
            opened[finding.rule] = Opened(severity, known.count + 1, (*known.examples, name)[:EXAMPLES])
        put_right = dict(self.put_right)
        for words in announcement.put_right:
            kind = words if words in put_right or len(put_right) < KINDS else OTHER
            put_right[kind] = put_right.get(kind, 0) + 1
        refused = bool(announcement.not_put_right)
        return replace(
            self,
            repositories=self.repositories + 1,
            examples=(*self.examples, name)[:EXAMPLES],
            opened=opened,
            put_right=put_right,
            exempted=Counter(self.exempted) + Counter(finding.rule for finding in announcement.exempted),
            resolved=Counter(self.resolved) + Counter(finding.rule for finding in announcement.mended),
            refused=(*self.refused, *([name] if refused else []))[:LISTED],
            refused_count=self.refused_count + refused,
            policy_hash=announcement.policy_hash,
        )


def digest(burst: Burst, account: str, region: str) -> dict[str, Any]:
    """Tell a burst of news in one message."""
    title = f":package: {counted(burst.repositories, 'repository')} changed"
    lines = [
        f"{MARK[opened.severity]} *{plain(rule, 80)}*: {counted(opened.count, 'repository')}\n{_examples(opened)}"
        for rule, opened in sorted(burst.opened.items(), key=lambda item: (ORDER.index(item[1].severity), item[0]))
    ]
    blocks: list[dict[str, Any]] = [
        header(title),
        *section("\n".join(lines)),
        *section(_counts("Put right", ":white_check_mark:", burst.put_right)),
        *section(_counts("Exempt", ":shield:", burst.exempted)),
        *section(_counts("Resolved", ":white_check_mark:", burst.resolved)),
        *section(first_of("Not put right", ":no_entry:", burst.refused, burst.refused_count)),
        where("sent as a digest because many came at once", account, region, burst.policy_hash),
    ]
    names = ", ".join(burst.examples)
    return {"text": cut(plain(f"{counted(burst.repositories, 'repository')} changed: {names}"), TEXT_LIMIT), "blocks": blocks}


def _counts(title: str, mark: str, counts: Mapping[str, int]) -> str:
    return listed(title, mark, (f"{words}: {counted(count, 'repository')}" for words, count in sorted(counts.items())))


def _examples(opened: Opened) -> str:
    more = f" and {opened.count - EXAMPLES:,} more" if opened.count > EXAMPLES else ""
    return ", ".join(code(name) for name in opened.examples) + more
