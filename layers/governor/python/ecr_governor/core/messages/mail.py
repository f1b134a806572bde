"""Alerts as plain text, for an e-mail. Foreign text is text: it stands on one line, and becomes no link."""

from collections.abc import Iterator, Sequence
from typing import Final

from ecr_governor.core.alert import Alert
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.messages.steps import STEPS, working_days
from ecr_governor.core.messages.text import counted, cut
from ecr_governor.core.retirement.reported import why
from ecr_governor.core.retirement.snapshot import DELETE_AFTER
from ecr_governor.core.rules import RULES

SUBJECT_LIMIT: Final = 99
"""SNS takes fewer than 100 characters, without line breaks and control characters."""
AT_ONCE: Final = 20
"""Alerts in one e-mail: at their greatest length they stay below the 256 KiB that SNS takes."""
LINE: Final = 300
LISTED: Final = 4
NAME: Final = 256
KEEP: Final = f"To keep it: remove its tag {DELETE_AFTER}, use it, or ask for an exemption."


def mail(alerts: Sequence[Alert], account: str, region: str) -> tuple[str, str]:
    """Give subject and text of an e-mail with some alerts, at most `AT_ONCE`."""
    one = f"{_title(alerts[0])}: {alerts[0].entry.repository}" if len(alerts) == 1 else counted(len(alerts), "alert")
    blocks = ["\n".join([f"{line(alert.entry.repository, NAME)}: {_title(alert)}", *_told(alert)]) for alert in alerts]
    ends = ["The grace of a mark begins when Slack has taken the word of it. This e-mail does not begin it."]
    foot = [f"ECR Governor, account {account}, {region}.", *(ends if any(alert.step == "marked" for alert in alerts) else [])]
    return _subject(f"ECR Governor: {one}"), "\n\n".join([*blocks, "\n".join(foot)]) + "\n"


def line(text: str, limit: int = LINE) -> str:
    """Foreign text on a line of its own: mail programs make links of addresses."""
    return cut(tidy(text[: 2 * limit]).replace("://", ":\u2215\u2215").replace("www.", "www\u2024"), limit)


def _subject(text: str) -> str:
    # Mail headers are old: what is not ASCII shows in the text.
    return cut(line(text, 2 * NAME).encode("ascii", "replace").decode(), SUBJECT_LIMIT - 2).replace("\u2026", "...")


def _title(alert: Alert) -> str:
    if alert.step == "reminder":
        return f"marked as unused, {working_days(alert.entry.body)} left"
    return STEPS[alert.step][1] if alert.step else f"critical, {', '.join(finding.rule for finding in alert.findings)}"


def _told(alert: Alert) -> Iterator[str]:
    body = alert.entry.body
    for finding in alert.findings[:LISTED]:
        yield f"  {finding.rule}: {line(finding.reason)}"
        if finding.rule in RULES:
            yield f"  How to fix: {RULES[finding.rule].fix}"
    match alert.step:
        case "marked" | "reminder":
            yield f"  Nobody seems to use it. It goes on not before {line(str(body.get('delete_after')))}. {KEEP}"
        case "quarantined":
            yield "  Push and pull are refused now. Whoever tries gets it back at once: a refused call releases the repository."
        case "deleted":
            yield "  It is gone. What it held is listed in its tombstone; images themselves do not come back."
    if alert.step:
        yield from (f"  Why: {line(reason)}" for reason in why(body)[:LISTED])
        yield f"  Owner: {line(str(body['owner'])) if body.get('owner') else 'not known'}"
    yield f"  Ledger: entry {alert.entry.number}"
