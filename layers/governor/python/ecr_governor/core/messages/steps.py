"""Messages of the steps of retirements: one for each, or lists in which each repository is named, since to be named is to be told."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecr_governor.core.announcement import Told
from ecr_governor.core.messages.buttons import to_approve
from ecr_governor.core.messages.text import (
    TEXT_LIMIT,
    code,
    counted,
    cut,
    fields,
    first_of,
    header,
    in_header,
    listed,
    plain,
    section,
    where,
)
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.retirement.reported import step, why
from ecr_governor.core.retirement.snapshot import DELETE_AFTER

KEEP = f"*To keep it*: remove its tag `{DELETE_AFTER}`, use it, or ask for an exemption."
NAMED_AT_ONCE = 9
"""Names that a section and a message's bare text can hold at their greatest length of 256."""


STEPS = {
    "marked": (":hourglass_flowing_sand:", "Marked as unused"),
    "quarantined": (":no_entry:", "In quarantine"),
    "archived": (":file_cabinet:", "Archived"),
    "deleted": (":wastebasket:", "Deleted for good"),
    "observed": (":leftwards_arrow_with_hook:", "Kept"),
    "held up": (":warning:", "Step not completed"),
}


def retirement(entry: Told, account: str, region: str) -> dict[str, Any]:
    """Tell one step of a repository's retirement: what happened, why, what comes next, and how to stop it."""
    body, name = entry.body, entry.repository
    mark, words = named(body)
    title = f"{mark} {words}: {in_header(name)}"
    shown = [("Repository", code(name)), ("Owner", code(body["owner"]) if body.get("owner") else "not known")]
    if step(body) in {"marked", "reminder"}:
        shown.append(("Not before", plain(body["delete_after"])))
    blocks: list[dict[str, Any]] = [
        header(title),
        *section(what_it_means(body)),
        *section(listed("Why", "•", why(body))),
        fields(shown),
        where(f"retirement, entry {entry.number}", account, region, str(body.get("policy_hash") or "not known")),
    ]
    return {"text": cut(plain(f"{words}: {name}. {'; '.join(why(body))}"), TEXT_LIMIT), "blocks": blocks}


def approval_asked(question: Mapping[str, Any], account: str, region: str, buttons: Buttons | None = None) -> dict[str, Any]:
    """Ask people about steps that are more than the caps allow."""
    title = f":raised_hand: {counted(question['count'], 'step')} of retirements wait for a person"
    waiting = [f"{each['repository']}: {STEPS[each['to']][1].lower()}, {each['owner'] or 'no owner'}" for each in question["steps"]]
    how = (
        "Nothing of it is done until somebody says so, or the list gets shorter. *If it is right*: `ecr-governor plan --out plan.json`, "
        "look at it, `ecr-governor apply plan.json`. *If it is not*: an exemption, a tag, or a look at the policy."
    )
    blocks: list[dict[str, Any]] = [
        header(title),
        *section(listed("More than the policy allows at once", ":no_entry:", question["over"])),
        *section(first_of("What waits", "•", waiting, question["count"])),
        *section(how),
        *to_approve(question, buttons),
        where("retirement, withheld by its caps", account, region, question["policy_hash"]),
    ]
    return {"text": cut(plain(f"{counted(question['count'], 'step')} of retirements wait for a person"), TEXT_LIMIT), "blocks": blocks}


def retirements(entries: Sequence[Told], account: str, region: str) -> dict[str, Any]:
    """Tell many steps at once; every repository is named, since to be named is to be told."""
    title = f":hourglass_flowing_sand: {counted(len(entries), 'step')} of retirements"
    lines: dict[str, list[str]] = {}
    for entry in entries:
        mark, words = named(entry.body)
        after = f", not before {entry.body['delete_after']}" if step(entry.body) in {"marked", "reminder"} else ""
        lines.setdefault(f"{mark} *{words}*", []).append(f"{code(entry.repository)}{plain(after)}")
    blocks: list[dict[str, Any]] = [
        header(title),
        *(block for words, names in sorted(lines.items()) for block in section("\n".join([words, *names]))),
        *section(f"Who still needs one of them removes its tag `{DELETE_AFTER}`, or asks for an exemption."),
        where("sent as one message because many came at once", account, region, str(entries[0].body.get("policy_hash") or "not known")),
    ]
    names = ", ".join(entry.repository for entry in entries)
    return {"text": cut(plain(f"{len(entries)} steps of retirements: {names}"), TEXT_LIMIT), "blocks": blocks}


def named(body: Mapping[str, Any]) -> tuple[str, str]:
    """Give an entry's emoji and its words."""
    if step(body) == "reminder":
        return ":bell:", f"{working_days(body)} left"
    return STEPS.get(step(body), (":grey_question:", "Retirement"))


def working_days(body: Mapping[str, Any]) -> str:
    """Say how many working days are left, by a reminder's entry."""
    return counted(int(body["working_days"]), "working day")


def what_it_means(body: Mapping[str, Any]) -> str:
    """Say what a step means for people, and what they can do."""
    match step(body):
        case "marked":
            return f"Nobody seems to use it. It goes on *not before {plain(body['delete_after'])}*; until then nothing changes.\n{KEEP}"
        case "reminder":
            return f"Nobody seems to use it. It goes on *not before {plain(body['delete_after'])}*.\n{KEEP}"
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
