"""Messages that stand for themselves: news of a repository, of a burst, of a night, of the policy file. What a webhook can carry."""

from collections.abc import Mapping
from typing import Any

from ecr_governor.core.announcement import Announcement
from ecr_governor.core.messages.text import (
    TEXT_LIMIT,
    code,
    counted,
    cut,
    fields,
    finding_lines,
    first_of,
    header,
    in_header,
    listed,
    no_backticks,
    plain,
    section,
    where,
)
from ecr_governor.core.record import RepositoryRecord

PROBLEMS_LISTED = 10
EXAMPLES = 4


def message(announcement: Announcement, account: str, region: str) -> dict[str, Any]:
    """Tell the news of one repository."""
    title = _title(announcement)
    blocks: list[dict[str, Any]] = [
        header(title),
        *section(finding_lines(announcement.opened)),
        *section(listed("Put right", ":white_check_mark:", announcement.put_right)),
        *section(listed("Not put right", ":no_entry:", (f"{words}: {why}" for words, why in announcement.not_put_right))),
        *section(listed("Exempt", ":shield:", (f"{finding.rule}: {finding.resolution}" for finding in announcement.exempted))),
        *section(listed("Resolved", ":white_check_mark:", (f"{finding.rule}: {finding.resolution}" for finding in announcement.mended))),
        fields(provenance_fields(announcement.repository, announcement.record)),
        where(cause(announcement), account, region, announcement.policy_hash),
    ]
    return {"text": cut(plain(_summary(announcement, title)), TEXT_LIMIT), "blocks": blocks}


def sweep_digest(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a sweep found, from its summary: one message for the whole night."""
    repositories, complete, first = summary["repositories"], summary["complete"], summary["first"]
    mark = ":mag:" if complete else ":warning:"
    title = f"{mark} {'First sweep' if first else 'Sweep'}{'' if complete else ', incomplete'}: {counted(repositories, 'repository')}"
    verdict = f"*{summary['violating']:,}* violating · *{summary['unused']:,}* unused · *{summary['checked']:,}* read in full"
    blocks: list[dict[str, Any]] = [
        header(title),
        *section(verdict),
        *section(listed("Could not find out", ":grey_question:", summary["incomplete_because"])),
        *section(_counts("Open", summary["by_rule"]) if first else _counts("Opened since the last sweep", summary["opened"])),
        *section(_opened_in(summary)),
        *section(_counts("Resolved since the last sweep", summary["resolved"])),
        *section(listed("Nothing is put right", ":no_entry:", [summary["withheld"]] if summary["withheld"] else [])),
        *section(first_of("Is being put right", ":hammer_and_wrench:", summary["to_be_put_right"], summary["to_be_put_right_count"])),
        *section(first_of("Not there any more", ":wastebasket:", summary["vanished"], summary["vanished_count"])),
        *section(_event_loss(summary["event_loss"])),
        where(f"sweep {summary['run']}", summary["account"], summary["region"], summary["policy_hash"]),
    ]
    return {"text": cut(plain(f"{title.partition(' ')[2]}. {verdict.replace('*', '')}"), TEXT_LIMIT), "blocks": blocks}


def _counts(title: str, counts: Mapping[str, int]) -> str:
    lines = (f"{rule}: {counted(count, 'repository')}" for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return listed(title, "•", lines)


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
    head = f"no event told of {counted(lost, 'change')} out of {changes:,} ({100 * lost / changes:.0f} %)"
    return listed("Events lost", ":warning:", [head, *meter["examples"][:EXAMPLES]])


def policy_problem(problem: str, version: str, account: str, region: str) -> dict[str, Any]:
    """Tell that the policy file cannot be used."""
    title = ":rotating_light: The policy file is invalid"
    lines = [no_backticks(plain(line, 400)) for line in problem.splitlines()]
    more = [f"…and {len(lines) - PROBLEMS_LISTED} more"] if len(lines) > PROBLEMS_LISTED else []
    shown = "\n".join([*lines[:PROBLEMS_LISTED], *more])
    body = (
        "The last good policy goes on judging. *Nothing is put right until this is mended*, and then within the hour.\n"
        f"```{cut(shown, 2500)}```\nCheck the file with `ecr-governor policy validate FILE` and upload it again."
    )
    return {
        "text": cut(plain(f"The policy file is invalid: {problem}"), TEXT_LIMIT),
        "blocks": [
            header(title),
            *section(body),
            where(f"file version {version}", account, region, "last good"),
        ],
    }


def _title(announcement: Announcement) -> str:
    name = in_header(announcement.repository)
    if announcement.gone:
        return f":wastebasket: Deleted: {name}"
    if announcement.opened:
        new = "New repository needs attention" if announcement.discovered else "Needs attention"
        return f":warning: {new}: {name}"
    if announcement.not_put_right:
        return f":no_entry: Could not put right: {name}"
    if announcement.put_right:
        return f":hammer_and_wrench: {'New repository put in order' if announcement.discovered else 'Put right'}: {name}"
    if announcement.exempted and not announcement.resolved:
        return f":shield: Exempt: {name}"
    return f":white_check_mark: Resolved: {name}"


def _summary(announcement: Announcement, title: str) -> str:
    reasons = "; ".join(f"{finding.rule}: {finding.reason}" for finding in announcement.opened) or ", ".join(announcement.put_right)
    return f"{title.split(' ', 1)[1]}. {reasons}" if reasons else title.split(" ", 1)[1]


def provenance_fields(name: str, record: RepositoryRecord | None) -> list[tuple[str, str]]:
    """Say where a repository came from and whose it is, as far as the ledger knows."""
    provenance = record.provenance if record else None
    pusher = provenance.pusher if provenance else None
    creator = provenance.creation.actor if provenance and provenance.creation else None
    shown = [
        ("Repository", code(name)),
        ("Origin", plain(provenance.origin.value.replace("_", " ")) if provenance else "unknown"),
        ("Pushed by", code(pusher.name) if pusher else "nobody yet"),
        ("Owner", code(record.owner) if record and record.owner else "not known"),
    ]
    if creator and provenance and provenance.origin == "api":
        shown.insert(2, ("Created by", code(creator.name)))
    return shown


def cause(announcement: Announcement) -> str:
    """Say what made us look, and whose doing it was."""
    by = f" by {announcement.actor}" if announcement.actor else ""
    waits = " · nothing is put right while the policy file is invalid" if announcement.held_back else ""
    return f"{announcement.trigger}{by}{waits}"
