"""Every message that can be built: within Slack's limits by two judges, and foreign text in it is text."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.announcement import Told, announce
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.messages.burst import Burst, digest
from ecr_governor.core.messages.living import Life, living, moved, reply_to_change, reply_to_step
from ecr_governor.core.messages.news import message, policy_problem, sweep_digest
from ecr_governor.core.messages.steps import NAMED_AT_ONCE, approval_asked, retirement, retirements
from ecr_governor.core.messages.text import code, counted, cut, moment, plain
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.record import Change, Entry, RepositoryRecord, Trigger, append, change_as_data
from ecr_governor.core.remedy import Outcome, OutcomeStatus, TagResource
from ecr_governor.core.retirement.reported import REMINDER
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.severity import Severity
from tests.fakes import ACCOUNT, HOUR, REGION, T0
from tests.slack_limits import check_slack_limits, second_opinion, texts

WHO = "S0PAYMENTS"
HOSTILE = (
    "<!channel>",
    "<@U0123456>",
    "<!subteam^S0PAYMENTS>",
    "`x`",
    "```",
    "*b* _i_ ~s~",
    "<http://evil|click>",
    "https://evil.example/x",
    "\u202egnp.exe",
    "a\nb\r\tc",
    "&amp;<script>",
    ":rotating_light:",
    "=cmd()",
    "\x00\x1b[31m",
    "日本" * 150,
    "\\" * 300,
    '"' * 300,
)
hostile = st.one_of(st.text(max_size=400), st.sampled_from(HOSTILE))


def everything(name: str, text: str, other: str, count: int, stage: Stage) -> Iterator[Mapping[str, Any]]:
    """Each kind of message, full of what strangers wrote."""
    severities = list(Severity)
    findings = tuple(
        Finding(name, f"{text[:40]}-{index}", severities[index % 4], FindingState.OPEN, Mode.AUDIT, text, (), T0) for index in range(count)
    )
    exempt = Finding(name, "naming", Severity.LOW, FindingState.EXEMPT, Mode.AUDIT, text, (), T0, resolution=text)
    outcomes = tuple(
        Outcome(TagResource({}, {f"{text[:50]}{index}": other[:50]}), status, text)
        for index, status in enumerate([OutcomeStatus.APPLIED, OutcomeStatus.FAILED] * count)
    )
    resolved = tuple(
        Finding(name, f"gone-{index}", Severity.HIGH, FindingState.RESOLVED, Mode.AUDIT, text, (), T0, T0, text) for index in range(count)
    )
    change = Change(
        name,
        T0,
        Trigger(other, text),
        "abc",
        discovered=True,
        opened=findings,
        resolved=resolved,
        changed=findings,
        outcomes=outcomes,
        exempted=tuple(replace(exempt, rule=f"exempt-{index}") for index in range(count)),
    )
    actor = Actor(f"arn:aws:iam::{ACCOUNT}:user/{text}", ACCOUNT, "IAMUser")
    record = RepositoryRecord(
        name,
        created_at=T0,
        provenance=Provenance(Origin.API, (), Creation("c", T0, actor), Push("p", T0, actor, text)),
        owner=text,
        findings=(*findings, exempt),
        failing=(text,) * count,
        paused=dict.fromkeys(("PutLifecyclePolicy", text), T0),
        retirement=Retirement(stage, T0, delete_after=text),
        gone_at=T0 if stage is Stage.DELETED else None,
    )
    steps: list[Mapping[str, Any]] = [
        {
            "at": T0.isoformat(),
            "to": stage.value,
            "intended": intended,
            "delete_after": text,
            "owner": other,
            "policy_hash": text,
            "why": why,
            "reasons": [{"check": text, "seen": other, "weight": weight} for weight in ("for", "contrary", "doubt") * count],
        }
        for intended, why in ((None, ""), ("archived", text))
    ]
    nearing = {"at": (T0 + HOUR).isoformat(), "to": "quarantined", "working_days": 7, "delete_after": text, "owner": text}
    entries: list[Entry] = []
    for kind, body in [("change", change_as_data(change)), ("learned", {}), *(("retirement", step) for step in steps), (REMINDER, nearing)]:
        record, entry = append(record, kind, body)
        entries.append(entry)
    told = [Told(name, entry.number, entry.kind, entry.body) for entry in entries]
    announcement = announce(told[:1], record, Severity.LOW)
    yield message(announcement, ACCOUNT, REGION)
    yield digest(Burst().plus([announcement] * 50), ACCOUNT, REGION)
    yield policy_problem("\n".join([text] * count), text, ACCOUNT, REGION)
    yield living(Life(record, entries, Severity.LOW, WHO, ACCOUNT, REGION))
    yield living(Life(record, entries[:1], Severity.HIGH, "", ACCOUNT, REGION))
    yield living(Life(record, (), Severity.LOW, "", ACCOUNT, REGION))
    buttons = Buttons(approve=("U0BOB000001", "U0CAROL0001"))
    yield living(Life(replace(record, owner=None), entries, Severity.LOW, WHO, ACCOUNT, REGION, buttons))
    yield moved(name, "C0123456789")
    yield reply_to_change(announcement, WHO)
    for entry in told[2:]:
        yield retirement(entry, ACCOUNT, REGION)
        yield reply_to_step(name, entry.body, WHO)
    yield retirements([told[2], told[4], *told[3:4] * (NAMED_AT_ONCE - 2)], ACCOUNT, REGION)
    waiting = [{"repository": name, "to": "quarantined", "owner": text or None}] * count
    question = {"over": [text] * count, "steps": waiting, "count": count, "policy_hash": text, "approves": "0" * 16}
    yield approval_asked(question, ACCOUNT, REGION)
    yield approval_asked(question, ACCOUNT, REGION, buttons)
    counts = {f"{text[:40]}-{index}": index for index in range(count)}
    yield sweep_digest(
        {
            "run": text,
            "account": ACCOUNT,
            "region": REGION,
            "policy_hash": "abc",
            "repositories": count,
            "complete": not count % 2,
            "first": not count % 3,
            "violating": count,
            "unused": count,
            "checked": count,
            "incomplete_because": [text] * count,
            "by_rule": counts,
            "opened": counts,
            "opened_in": [name] * count,
            "resolved": counts,
            "withheld": text,
            "to_be_put_right": [name] * count,
            "to_be_put_right_count": count,
            "vanished": [name] * count,
            "vanished_count": count,
            "event_loss": {"announced": count, "unannounced": count, "examples": [text] * count},
        }
    )


def references(text: str) -> Iterator[str]:
    """What Slack would take for a mention, a link or a date."""
    rest = text
    while "<" in rest:
        inside, _, rest = rest.partition("<")[2].partition(">")
        yield inside


@settings(max_examples=60)
@given(name=hostile.filter(bool), text=hostile, other=hostile, count=st.integers(0, 9), stage=st.sampled_from(Stage))
def test_every_message_keeps_slacks_limits_and_foreign_text_is_text(name: str, text: str, other: str, count: int, stage: Stage) -> None:
    for said in everything(name, text, other, count, stage):
        check_slack_limits(said)
        for shown in texts(said):
            assert not [character for character in shown if unicodedata.category(character) in {"Cf", "Cc"} and character != "\n"]
            assert not [
                reference
                for reference in references(shown)
                if not reference.startswith("!date^") and reference not in {f"!subteam^{WHO}", "#C0123456789"}
            ] or is_header(said, shown)
            assert "://" not in shown or is_header(said, shown)


def is_header(said: Mapping[str, Any], text: str) -> bool:
    """Whether a text stands in a header: plain text, in which nothing means anything but emoji."""
    return any(block["type"] == "header" and block["text"]["text"] == text for block in said["blocks"])


def test_no_cut_goes_through_what_stands_for_one_character_or_for_somebody() -> None:
    for text in (plain("a&<>" * 9), f"<@{WHO}>{moment(T0)}" * 2):
        for limit in range(1, len(text)):
            shown = cut(text, limit)
            assert len(shown) <= limit
            assert re.fullmatch(r"(a|&amp;|&lt;|&gt;|<[^<>]+>)*…", shown), shown
            assert plain("a&<>" * 9, limit) == cut(plain("a&<>" * 9), limit), "what counts is how long it is for Slack"
        assert cut(text, len(text)) == text
    assert cut("AT&T: a < b", 10) == "AT&T: a <…"


@settings(max_examples=20)
@given(text=hostile, count=st.integers(0, 9), stage=st.sampled_from(Stage))
def test_another_judge_of_blocks_has_nothing_against_any_message(text: str, count: int, stage: Stage) -> None:
    for said in everything("payments/api", text, text, count, stage):
        second_opinion(said)


def test_a_text_that_fills_everything_stays_within_the_budget() -> None:
    longest = "a" * 256
    for said in everything(longest, "W" * 2000, "W" * 2000, 40, Stage.QUARANTINED):
        check_slack_limits(said)
        assert len(json.dumps(said["blocks"], ensure_ascii=False)) < 12_000


def test_an_answer_by_which_a_grace_begins_is_shown_in_the_channel_as_well() -> None:
    body = {"to": "marked", "delete_after": "2026-12-01", "reasons": [], "why": "unused"}
    assert reply_to_step("payments/api", body, "")["reply_broadcast"] is True


def test_things_are_counted_in_english() -> None:
    assert [counted(2, noun) for noun in ("repository", "step", "day", "working day")] == [
        "2 repositories",
        "2 steps",
        "2 days",
        "2 working days",
    ]


STAR, LINE, WAVE, TICK, COLON = "\u2217", "\u02cd", "\u223c", "\u02cb", "\uff1a"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("*bold* _it_ ~old~", f"{STAR}bold{STAR} {LINE}it{LINE} {WAVE}old{WAVE}"),
        ("`carol (U1)` *_both_*", f"{TICK}carol (U1){TICK} {STAR}{LINE}both{LINE}{STAR}"),
        ("(*bold*), _two words_.", f"({STAR}bold{STAR}), {LINE}two words{LINE}."),
        (":white_check_mark: done ::tada: :+1:", f"{COLON}white_check_mark: done :{COLON}tada: {COLON}+1:"),
        ("payments/check_out, a*b*c, 2 * 3 * 4, payments/*", "payments/check_out, a*b*c, 2 * 3 * 4, payments/*"),
        ("arn:aws:iam::123456789012:role/x at 12:30:45", "arn:aws:iam::123456789012:role/x at 12:30:45"),
    ],
)
def test_what_would_format_foreign_text_is_shown_as_it_is_written(written: str, shown: str) -> None:
    assert plain(written) == shown


def test_in_a_code_span_nothing_is_formatted_and_all_can_be_copied() -> None:
    assert code("*b* :x: a_b") == "`*b* :x: a_b`"


@given(st.text(alphabet="*_~` a:+", max_size=60))
def test_what_is_literal_stays_literal(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert len(plain(text)) == len(text)


def test_an_exemption_is_told_as_one_and_counted_apart() -> None:
    exempt = Finding(
        "payments/api", "naming", Severity.LOW, FindingState.EXEMPT, Mode.AUDIT, "r", (), T0, resolution="until 2027-01-01, x: y"
    )
    change = change_as_data(Change("payments/api", T0, Trigger("Sweep"), "abc", exempted=(exempt,)))
    announcement = announce([Told("payments/api", 1, "change", change)], None, Severity.LOW)
    assert announcement.worth_a_message
    said = json.dumps(message(announcement, ACCOUNT, REGION))
    assert ":shield: Exempt: payments/api" in said
    assert "naming: until 2027-01-01, x: y" in said
    assert "Resolved" not in said
    summed = json.dumps(digest(Burst().plus([announcement] * 3), ACCOUNT, REGION))
    assert "naming: 3 repositories" in summed
    assert "Resolved" not in summed
    opened = change_as_data(Change("payments/api", T0, Trigger("Sweep"), "abc", opened=(replace(exempt, state=FindingState.OPEN),)))
    both = [Told("payments/api", number, "change", body) for number, body in enumerate((opened, change))]
    assert not announce(both, None, Severity.LOW).worth_a_message, "what opened and was exempted meanwhile is no news"


@pytest.mark.parametrize("before", ["changed", "exempted and opened", "resolved and opened"])
@pytest.mark.parametrize("end", ["exempted", "resolved"])
def test_what_was_open_before_is_told_when_it_ends_whatever_happened_meanwhile(before: str, end: str) -> None:
    states = {"opened": FindingState.OPEN, "changed": FindingState.OPEN, "exempted": FindingState.EXEMPT, "resolved": FindingState.RESOLVED}
    finding = Finding("payments/api", "naming", Severity.HIGH, FindingState.OPEN, Mode.AUDIT, "r", (), T0)
    told = [
        change_as_data(Change("payments/api", T0, Trigger("Sweep"), "abc", **{key: (replace(finding, state=states[key]),)}))
        for key in (*before.split(" and "), end)
    ]
    announcement = announce([Told("payments/api", number, "change", body) for number, body in enumerate(told)], None, Severity.LOW)
    assert [each.rule for each in (announcement.exempted if end == "exempted" else announcement.resolved)] == ["naming"]
    assert announcement.opened == ()
