"""Slack messages as plain data, within Slack's limits. Foreign text is text: it never mentions anybody and never becomes a link."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ecr_governor.core.announcement import ORDER, Announcement, Told
from ecr_governor.core.finding import Finding
from ecr_governor.core.retirement.snapshot import DELETE_AFTER
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
TEXT_LIMIT = 4000
LISTED = 6
PROBLEMS_LISTED = 10
EXAMPLES = 4
NAMED_AT_ONCE = 9
"""Names that a section and a message's bare text can hold at their greatest length of 256: to be named is to be told."""

_MARK = {
    Severity.CRITICAL: ":rotating_light: Critical",
    Severity.HIGH: ":red_circle: High",
    Severity.MEDIUM: ":large_orange_circle: Medium",
    Severity.LOW: ":large_blue_circle: Low",
}


_STEPS = {
    "marked": (":hourglass_flowing_sand:", "Marked as unused"),
    "quarantined": (":no_entry:", "In quarantine"),
    "archived": (":file_cabinet:", "Archived"),
    "deleted": (":wastebasket:", "Deleted for good"),
    "observed": (":leftwards_arrow_with_hook:", "Kept"),
    "held up": (":warning:", "Step not completed"),
}


def plain(text: str, limit: int = SECTION_LIMIT) -> str:
    """Make foreign text harmless in mrkdwn: control and direction characters out, `& < >` escaped, formatting characters kept literal."""
    visible = "".join(" " if character in "\n\r\t" else character for character in text if character in "\n\r\t" or _printable(character))
    if len(visible) > limit:
        visible = visible[: limit - 1] + "…"
    # Slack makes links of addresses even where it is told not to: in the text of a notification.
    visible = visible.replace("://", ":\u2215\u2215")
    return visible.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Show foreign text as a code span, in which nothing is formatted."""
    return f"`{_no_backticks(plain(text, 300))}`"


def _no_backticks(text: str) -> str:
    # A look-alike, for Slack knows no way to escape the one character that ends a code span.
    return text.replace("`", "\u02cb")


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def message(announcement: Announcement, account: str, region: str) -> dict[str, Any]:
    """Tell the news of one repository."""
    title = _title(announcement)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, HEADER_LIMIT), "emoji": True}},
        *_section(_finding_lines(announcement.opened)),
        *_section(_list("Put right", ":white_check_mark:", announcement.put_right)),
        *_section(_list("Not put right", ":no_entry:", (f"{words}: {why}" for words, why in announcement.not_put_right))),
        *_section(_list("Resolved", ":white_check_mark:", (f"{finding.rule}: {finding.resolution}" for finding in _mended(announcement)))),
        {"type": "section", "fields": _fields(announcement)},
        _context(account, region, announcement.policy_hash, _cause(announcement)),
    ]
    return {"text": _cut(plain(_summary(announcement, title)), TEXT_LIMIT), "blocks": blocks}


def digest(announcements: Sequence[Announcement], account: str, region: str) -> dict[str, Any]:
    """Tell a burst of news in one message: what happened how often, with examples."""
    opened = Counter(finding.rule for announcement in announcements for finding in announcement.opened)
    put_right = Counter(words for announcement in announcements for words in announcement.put_right)
    resolved = Counter(finding.rule for announcement in announcements for finding in _mended(announcement))
    refused = [announcement for announcement in announcements if announcement.not_put_right]
    title = f":package: {len(announcements)} repositories changed"
    worst = _worst(finding for announcement in announcements for finding in announcement.opened)
    lines = [
        f"{_MARK[worst[rule]]} *{rule}*: {_repositories(opened[rule])}\n{_examples(announcements, rule)}"
        for rule in sorted(opened, key=lambda rule: (ORDER.index(worst[rule]), rule))
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}},
        *_section("\n".join(lines)),
        *_section(
            _list("Put right", ":white_check_mark:", (f"{words}: {_repositories(count)}" for words, count in sorted(put_right.items())))
        ),
        *_section(_list("Resolved", ":white_check_mark:", (f"{rule}: {_repositories(count)}" for rule, count in sorted(resolved.items())))),
        *_section(_list("Not put right", ":no_entry:", (announcement.repository for announcement in refused))),
        _context(account, region, announcements[0].policy_hash, "sent as a digest because many came at once"),
    ]
    names = ", ".join(announcement.repository for announcement in announcements[:EXAMPLES])
    return {"text": _cut(plain(f"{len(announcements)} repositories changed: {names}"), TEXT_LIMIT), "blocks": blocks}


def sweep_digest(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a sweep found, from its summary: one message for the whole night."""
    repositories, complete, first = summary["repositories"], summary["complete"], summary["first"]
    mark = ":mag:" if complete else ":warning:"
    title = f"{mark} {'First sweep' if first else 'Sweep'}{'' if complete else ', incomplete'}: {_counted(repositories, 'repository')}"
    verdict = f"*{summary['violating']:,}* violating · *{summary['unused']:,}* unused · *{summary['checked']:,}* read in full"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}},
        *_section(verdict),
        *_section(_list("Could not find out", ":grey_question:", summary["incomplete_because"])),
        *_section(_counts("Open", summary["by_rule"]) if first else _counts("Opened since the last sweep", summary["opened"])),
        *_section(_opened_in(summary)),
        *_section(_counts("Resolved since the last sweep", summary["resolved"])),
        *_section(_list("Nothing is put right", ":no_entry:", [summary["withheld"]] if summary["withheld"] else [])),
        *_section(_listed("Is being put right", ":hammer_and_wrench:", summary["to_be_put_right"], summary["to_be_put_right_count"])),
        *_section(_listed("Not there any more", ":wastebasket:", summary["vanished"], summary["vanished_count"])),
        *_section(_event_loss(summary["event_loss"])),
        _context(summary["account"], summary["region"], summary["policy_hash"], f"sweep {summary['run']}"),
    ]
    return {"text": _cut(plain(f"{title.partition(' ')[2]}. {verdict.replace('*', '')}"), TEXT_LIMIT), "blocks": blocks}


def _counted(count: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _counts(title: str, counts: Mapping[str, int]) -> str:
    lines = (f"{rule}: {_repositories(count)}" for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return _list(title, "•", lines)


def _opened_in(summary: Mapping[str, Any]) -> str:
    names = summary["opened_in"]
    if not names or summary["first"]:
        return ""
    more = " and more" if len(names) > EXAMPLES else ""
    return f"Opened for example in {', '.join(code(name) for name in names[:EXAMPLES])}{more}"


def _event_loss(meter: Mapping[str, Any]) -> str:
    lost, changes = meter["unannounced"], meter["announced"] + meter["unannounced"]
    if not lost:
        return ""
    head = f"no event told of {_counted(lost, 'change')} out of {changes:,} ({100 * lost / changes:.0f} %)"
    return _list("Events lost", ":warning:", [head, *meter["examples"][:EXAMPLES]])


def retirement(entry: Told, account: str, region: str) -> dict[str, Any]:
    """Tell one step of a repository's retirement: what happened, why, what comes next, and how to stop it."""
    body, name = entry.body, entry.repository
    mark, words = _STEPS.get(_step(body), (":grey_question:", "Retirement"))
    title = f"{mark} {words}: {_cut(_harmless_header(name), 90)}"
    shown = [("Repository", code(name)), ("Owner", code(body["owner"]) if body.get("owner") else "not known")]
    if _step(body) == "marked":
        shown.append(("Not before", plain(body["delete_after"])))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, HEADER_LIMIT), "emoji": True}},
        *_section(_what_it_means(body)),
        *_section(_list("Why", "•", _why(body))),
        {"type": "section", "fields": [{"type": "mrkdwn", "verbatim": True, "text": f"*{label}*\n{value}"} for label, value in shown]},
        _context(account, region, body.get("policy_hash") or "not known", f"retirement, entry {entry.number}"),
    ]
    return {"text": _cut(plain(f"{words}: {name}. {'; '.join(_why(body))}"), TEXT_LIMIT), "blocks": blocks}


def retirements(entries: Sequence[Told], account: str, region: str) -> dict[str, Any]:
    """Tell many steps at once; every repository is named, since to be named is to be told."""
    title = f":hourglass_flowing_sand: {_counted(len(entries), 'step')} of retirements"
    lines: dict[str, list[str]] = {}
    for entry in entries:
        mark, words = _STEPS.get(_step(entry.body), (":grey_question:", "Retirement"))
        after = f", not before {entry.body['delete_after']}" if entry.body["to"] == "marked" else ""
        lines.setdefault(f"{mark} *{words}*", []).append(f"{code(entry.repository)}{plain(after)}")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}},
        *(block for words, names in sorted(lines.items()) for block in _section("\n".join([words, *names]))),
        *_section(f"Who still needs one of them removes its tag `{DELETE_AFTER}`, or asks for an exemption."),
        _context(account, region, str(entries[0].body.get("policy_hash") or "not known"), "sent as one message because many came at once"),
    ]
    names = ", ".join(entry.repository for entry in entries)
    return {"text": _cut(plain(f"{len(entries)} steps of retirements: {names}"), TEXT_LIMIT), "blocks": blocks}


def _step(body: Mapping[str, Any]) -> str:
    return "held up" if body.get("intended") else str(body["to"])


def _why(body: Mapping[str, Any]) -> list[str]:
    if body.get("why"):
        return [str(body["why"])]
    against = [reason["seen"] for reason in body["reasons"] if reason["weight"] == "contrary"]
    return against or [f"{reason['check']}: {reason['seen']}" for reason in body["reasons"]]


def _what_it_means(body: Mapping[str, Any]) -> str:
    match _step(body):
        case "marked":
            return (
                f"Nobody seems to use it. It goes on *not before {plain(body['delete_after'])}*; until then nothing changes.\n"
                f"*To keep it*: remove its tag `{DELETE_AFTER}`, use it, or ask for an exemption."
            )
        case "quarantined":
            return "Push and pull are refused now. *Whoever tries gets it back at once*: a refused call releases the repository."
        case "archived":
            return "Its images are in ECR's archive. A refused pull, or `ecr-governor restore`, brings them back within 20 minutes."
        case "observed":
            return "It is *no longer retiring*: its policy and its images are as they were."
        case "deleted":
            return "It is gone. What it held is listed in its tombstone; images themselves do not come back."
        case _:
            return "A step was not completed. The next run goes on, or takes it back."


def policy_problem(problem: str, version: str, account: str, region: str) -> dict[str, Any]:
    """Tell that the policy file cannot be used."""
    title = ":rotating_light: The policy file is invalid"
    lines = [_no_backticks(plain(line, 400)) for line in problem.splitlines()]
    shown = lines[:PROBLEMS_LISTED] + ([f"…and {len(lines) - PROBLEMS_LISTED} more"] if len(lines) > PROBLEMS_LISTED else [])
    listed = "\n".join(shown)
    body = (
        "The last good policy goes on judging. *Nothing is put right until this is mended*, and then within the hour.\n"
        f"```{_cut(listed, 2500)}```\nCheck the file with `ecr-governor policy validate FILE` and upload it again."
    )
    return {
        "text": _cut(plain(f"The policy file is invalid: {problem}"), TEXT_LIMIT),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}},
            {"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": body}},
            _context(account, region, "last good", f"file version {version}"),
        ],
    }


def _title(announcement: Announcement) -> str:
    name = _cut(_harmless_header(announcement.repository), 90)
    if announcement.gone:
        return f":wastebasket: Deleted: {name}"
    if announcement.opened:
        new = "New repository needs attention" if announcement.discovered else "Needs attention"
        return f":warning: {new}: {name}"
    if announcement.not_put_right:
        return f":no_entry: Could not put right: {name}"
    if announcement.put_right:
        return f":hammer_and_wrench: {'New repository put in order' if announcement.discovered else 'Put right'}: {name}"
    return f":white_check_mark: Resolved: {name}"


def _harmless_header(text: str) -> str:
    # A header is plain_text: no mentions or links are possible, but `:name:` would become an emoji.
    return "".join(character for character in text if _printable(character)).replace(":", "\uff1a")


def _summary(announcement: Announcement, title: str) -> str:
    reasons = "; ".join(f"{finding.rule}: {finding.reason}" for finding in announcement.opened) or ", ".join(announcement.put_right)
    return f"{title.split(' ', 1)[1]}. {reasons}" if reasons else title.split(" ", 1)[1]


def _finding_lines(findings: Sequence[Finding]) -> str:
    lines = [
        f"{_MARK[finding.severity]} · *{finding.rule}*\n{plain(finding.reason, 600)}\n_{plain(_fix(finding), 400)}_"
        for finding in findings[:LISTED]
    ]
    if len(findings) > LISTED:
        lines.append(f"…and {len(findings) - LISTED} more")
    return "\n\n".join(lines)


def _fix(finding: Finding) -> str:
    rule = RULES.get(finding.rule)
    return f"How to fix: {rule.fix}" if rule else ""


def _worst(findings: Iterable[Finding]) -> dict[str, Severity]:
    """The worst severity among each rule's findings: the policy may give a rule another than its own."""
    worst: dict[str, Severity] = {}
    for finding in findings:
        worst[finding.rule] = min(worst.get(finding.rule, finding.severity), finding.severity, key=ORDER.index)
    return worst


def _mended(announcement: Announcement) -> tuple[Finding, ...]:
    """Resolved findings that no remedy in the same news explains."""
    return () if announcement.put_right else announcement.resolved


def _list(title: str, mark: str, lines: Iterable[str]) -> str:
    shown = list(lines)
    return _listed(title, mark, shown, len(shown))


def _listed(title: str, mark: str, shown: Sequence[str], count: int) -> str:
    """List the first lines of `count`, of which those that are `shown` are at hand."""
    if not shown:
        return ""
    more = [f"…and {count - LISTED:,} more"] if count > LISTED else []
    return "\n".join([f"*{title}*", *(f"{mark} {plain(line, 400)}" for line in shown[:LISTED]), *more])


def _section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": _cut(text, SECTION_LIMIT)}}] if text else []


def _fields(announcement: Announcement) -> list[dict[str, Any]]:
    record = announcement.record
    provenance = record.provenance if record else None
    pusher = provenance.pusher if provenance else None
    creator = provenance.creation.actor if provenance and provenance.creation else None
    shown = [
        ("Repository", code(announcement.repository)),
        ("Origin", plain(provenance.origin.value.replace("_", " ")) if provenance else "unknown"),
        ("Pushed by", code(pusher.name) if pusher else "nobody yet"),
        ("Owner", code(record.owner) if record and record.owner else "not known"),
    ]
    if creator and provenance and provenance.origin == "api":
        shown.insert(2, ("Created by", code(creator.name)))
    return [{"type": "mrkdwn", "verbatim": True, "text": _cut(f"*{label}*\n{value}", FIELD_LIMIT)} for label, value in shown]


def _cause(announcement: Announcement) -> str:
    by = f" by {announcement.actor}" if announcement.actor else ""
    waits = " · nothing is put right while the policy file is invalid" if announcement.held_back else ""
    return f"{announcement.trigger}{by}{waits}"


def _context(account: str, region: str, policy_hash: str, cause: str) -> dict[str, Any]:
    text = f"{plain(cause, 300)} · account {account} · {region} · policy {policy_hash}"
    return {"type": "context", "elements": [{"type": "mrkdwn", "verbatim": True, "text": text}]}


def _examples(announcements: Sequence[Announcement], rule: str) -> str:
    names = [announcement.repository for announcement in announcements if any(finding.rule == rule for finding in announcement.opened)]
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(code(name) for name in names[:EXAMPLES]) + more


def _repositories(count: int) -> str:
    return "1 repository" if count == 1 else f"{count} repositories"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
