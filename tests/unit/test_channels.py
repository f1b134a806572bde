"""Channels beside Slack: what cannot wait reaches people by e-mail, once, by what is true by then, and never counts as said where nobody hears."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.adapters.errands import as_message, errand_of
from ecr_governor.app.channels import Services, tell
from ecr_governor.app.errors import Rejected, Throttled, Undeliverable
from ecr_governor.app.notify import BUS, CHAT, HANDED_ON, SUMMED_UP, Outlets, tell_programs
from ecr_governor.core.alert import Alert, alert_of, is_critical
from ecr_governor.core.announcement import Told
from ecr_governor.core.errand import Channel, Errand
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.messages.mail import AT_ONCE, SUBJECT_LIMIT, mail
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import RepositoryRecord, append, finding_as_data
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.security_finding import DESCRIPTION_LIMIT, TITLE_LIMIT, is_for_security_hub, security_finding
from ecr_governor.core.severity import Severity
from tests.fakes import ACCOUNT, REGION, T0, FakeBus, FakeSecurityHub, InMemoryLedger

NAME = "payments/api"
CRITICAL = Finding(NAME, "naming", Severity.CRITICAL, FindingState.OPEN, Mode.AUDIT, "it is called wrongly", (), T0)
REASONS = [{"check": "unused", "seen": "no pull for 94 days", "weight": "for"}]


def a_change(*opened: Finding) -> dict[str, Any]:
    told = {"at": T0.isoformat(), "policy_hash": "abc", "discovered": False, "outcomes": [], "resolved": [], "gone": False}
    return {**told, "opened": [finding_as_data(finding) for finding in opened], "changed": []}


def a_step(to: str, **more: Any) -> dict[str, Any]:
    return {"at": T0.isoformat(), "to": to, "intended": None, "delete_after": "2026-12-07", "reasons": REASONS, "owner": "payments", **more}


class Topic:
    """Keeps what it is sent, and refuses as long as `refusals` last."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.refusals: list[Undeliverable] = []

    def send(self, subject: str, text: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append((subject, text))


class Hook:
    """Keeps what it is sent, and refuses as long as `refusals` last."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.refusals: list[Undeliverable | None] = []

    def post(self, identity: str, document: Any, now: Any) -> None:
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal
        self.taken.append((identity, document))


class Queue:
    """Keeps what is put there."""

    def __init__(self) -> None:
        self.put_there: list[tuple[Errand, int]] = []
        self.full = False

    def put(self, errands: Any) -> None:
        if self.full:
            raise Throttled("sqs:SendMessage: full")
        self.put_there += errands


class World:
    """A ledger with entries, and the two ends of the queue."""

    def __init__(self, channels: frozenset[Channel] = frozenset({Channel.ALERTS}), *, slack_first: bool = False) -> None:
        self.ledger, self.topic, self.queue, self.bus = InMemoryLedger(), Topic(), Queue(), FakeBus()
        self.hub, self.hook, self.now = FakeSecurityHub(), Hook(), T0
        self.outlets = Outlets(self.queue, channels, 900 if slack_first else 0)
        self.services = Services(
            self.ledger, ACCOUNT, REGION, self.bus, self.topic, slack_first=slack_first, security_hub=self.hub, webhook=self.hook
        )

    def write(self, kind: str, body: dict[str, Any], name: str = NAME, **record: Any) -> Told:
        before = self.ledger.read(name) or RepositoryRecord(name)
        written, entry = append(before, kind, body, **record)
        self.ledger.write(written, entry)
        return Told(name, entry.number, kind, body)

    def hand_on(self, *entries: Told) -> frozenset[tuple[str, int]]:
        return tell_programs(entries, self.bus, self.ledger, ACCOUNT, REGION, T0, self.outlets)

    def deliver(self) -> frozenset[Errand]:
        return tell([errand for errand, _ in self.queue.put_there], self.services, self.now)


def test_a_critical_finding_is_sent_once_however_often_it_comes() -> None:
    world = World()
    told = world.write("change", a_change(CRITICAL), findings=(CRITICAL,))
    assert world.hand_on(told, told) == frozenset()
    assert world.queue.put_there == [(Errand(Channel.ALERTS, NAME, 1), 0)]
    for _ in range(3):
        assert world.deliver() == frozenset()
    ((subject, text),) = world.topic.sent
    assert subject == "ECR Governor: critical, naming: payments/api"
    assert "naming: it is called wrongly" in text
    assert "Ledger: entry 1" in text
    assert world.ledger.delivered(NAME, 1) == {BUS, HANDED_ON, Channel.ALERTS}


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.MEDIUM, Severity.LOW])
def test_what_is_not_critical_is_for_slack(severity: Severity) -> None:
    world = World()
    world.hand_on(world.write("change", a_change(replace(CRITICAL, severity=severity))))
    world.hand_on(world.write("retirement", a_step("archived")), world.write("retirement", a_step("observed", why="somebody pulled")))
    world.hand_on(world.write("sweep", {"at": T0.isoformat()}, "@sweep"))
    assert world.queue.put_there == []


def test_slack_has_a_quarter_of_an_hour_to_take_it_first() -> None:
    world = World(slack_first=True)
    first = world.write("change", a_change(CRITICAL), findings=(CRITICAL,))
    second = world.write("retirement", a_step("marked"), retirement=Retirement(Stage.MARKED, T0))
    world.hand_on(first, second)
    assert [delay for _, delay in world.queue.put_there] == [900, 900]
    world.ledger.mark_delivered(NAME, first.number, CHAT, T0)
    assert world.deliver() == frozenset()
    ((subject, text),) = world.topic.sent
    assert subject == "ECR Governor: Marked as unused: payments/api"
    assert "not before 2026-12-07" in text
    assert "no pull for 94 days" in text
    assert "does not begin it" in text


def test_what_slack_told_in_a_digest_alone_is_sent_as_well() -> None:
    world = World(slack_first=True)
    world.hand_on(*(world.write("change", a_change(CRITICAL), findings=(CRITICAL,)) for _ in range(2)))
    for number, noted in ((1, (SUMMED_UP, CHAT)), (2, (CHAT,))):
        for channel in noted:
            world.ledger.mark_delivered(NAME, number, channel, T0)
    assert world.deliver() == frozenset()
    ((_, text),) = world.topic.sent
    assert "Ledger: entry 1" in text
    assert "entry 2" not in text


def test_an_email_never_begins_the_grace_of_a_mark_nor_moves_it() -> None:
    world = World()
    marked = world.write("retirement", a_step("marked"), retirement=Retirement(Stage.MARKED, T0))
    world.hand_on(marked)
    world.deliver()
    assert world.topic.sent
    assert world.ledger.told_at(NAME, marked.number, CHAT) is None
    world.ledger.mark_delivered(NAME, marked.number, CHAT, T0 + timedelta(hours=1))
    world.ledger.mark_delivered(NAME, marked.number, Channel.ALERTS, T0 + timedelta(days=9))
    assert world.ledger.told_at(NAME, marked.number, CHAT) == T0 + timedelta(hours=1)


def test_where_nobody_hears_nothing_counts_as_said() -> None:
    world = World()
    world.hand_on(world.write("change", a_change(CRITICAL), findings=(CRITICAL,)))
    world.topic.refusals = [Undeliverable("nobody has confirmed")]
    assert world.deliver() == {Errand(Channel.ALERTS, NAME, 1)}
    assert Channel.ALERTS not in world.ledger.delivered(NAME, 1)
    assert world.deliver() == frozenset()
    assert len(world.topic.sent) == 1


def test_what_has_passed_is_not_sent() -> None:
    world = World()
    resolved = replace(CRITICAL, state=FindingState.RESOLVED)
    world.hand_on(
        world.write("change", a_change(CRITICAL), findings=(resolved,)),
        world.write("retirement", a_step("marked"), retirement=Retirement(Stage.OBSERVED, T0)),
        world.write("reminder", {**a_step("quarantined"), "working_days": 1}),
    )
    assert len(world.queue.put_there) == 3
    assert world.deliver() == frozenset()
    assert world.topic.sent == []


def test_a_deletion_stays_news_whatever_has_come_in_its_place() -> None:
    gone = Told(NAME, 1, "retirement", a_step("deleted"))
    assert alert_of(gone, RepositoryRecord(NAME)) == Alert(gone, step="deleted")
    kept = Told(NAME, 1, "retirement", a_step("archived"))
    assert (is_critical(kept), alert_of(kept, None)) == (False, None)


def test_many_at_once_are_few_emails_that_name_each() -> None:
    world = World()
    names = [f"payments/service-{number}" for number in range(AT_ONCE + 5)]
    told = [world.write("retirement", a_step("marked"), name, retirement=Retirement(Stage.MARKED, T0)) for name in names]
    world.hand_on(*told)
    world.deliver()
    assert [subject for subject, _ in world.topic.sent] == [f"ECR Governor: {AT_ONCE} alerts", "ECR Governor: 5 alerts"]
    assert all(f"{name}: Marked as unused" in "".join(text for _, text in world.topic.sent) for name in names)


def test_a_queue_that_refuses_keeps_nothing_from_the_bus_nor_a_bus_from_the_queue() -> None:
    world = World()
    told = world.write("change", a_change(CRITICAL), findings=(CRITICAL,))
    world.queue.full = True
    assert world.hand_on(told) == {(NAME, 1)}
    assert len(world.bus.events) == 1
    world.queue.full = False
    other = world.write("change", a_change(CRITICAL), findings=(CRITICAL,))
    world.bus.refusals = [Undeliverable("events:PutEvents: InternalFailure")] * 2
    assert world.hand_on(told, other) == frozenset()
    assert [(errand.channel, errand.number) for errand, _ in world.queue.put_there] == [
        (Channel.ALERTS, 1),
        (Channel.EVENT_BUS, 2),
        (Channel.ALERTS, 2),
    ]
    assert world.deliver() == {Errand(Channel.EVENT_BUS, NAME, 2)}
    assert len(world.topic.sent) == 1
    for _ in range(2):
        assert world.deliver() == frozenset()
    assert [detail["ledger_entry"] for _, detail in world.bus.events] == [1, 2]


def test_an_errand_names_an_entry_and_says_nothing() -> None:
    world = World()
    assert tell([Errand(Channel.ALERTS, "nobody/knows", 7)], world.services, T0) == frozenset()
    assert world.topic.sent == []
    errand = Errand(Channel.ALERTS, NAME, 7)
    assert errand_of(as_message(errand)) == errand
    for text in ("", "[]", '{"channel": "fax", "repository": "a", "number": 1}', '{"channel": "alerts", "repository": "a"}'):
        with pytest.raises(Rejected, match="no errand"):
            errand_of(text)


@given(st.lists(st.text(min_size=1, max_size=400), min_size=5, max_size=5), st.integers(1, AT_ONCE))
def test_foreign_text_stays_text_and_within_what_sns_takes(texts: list[str], count: int) -> None:
    name, reason, owner, seen, day = (text + " http://evil.example\r\nBcc: x www.evil.example" for text in texts)
    findings = tuple(
        replace(CRITICAL, rule=rule, reason=reason * 9) for rule in ("naming", "scanning", "encryption", "unused", "image-tag")
    )
    because = [{"check": "unused", "seen": seen * 9, "weight": "for"}] * 9
    alerts = [
        Alert(Told(name, 1, "change", a_change()), findings=findings),
        Alert(Told(name, 2, "retirement", a_step("marked", owner=owner, reasons=because, delete_after=day)), step="marked"),
    ] * count
    subject, text = mail(alerts[:AT_ONCE], ACCOUNT, REGION)
    assert len(subject) <= SUBJECT_LIMIT
    assert subject.isascii()
    assert subject.isprintable()
    assert len(text.encode("utf-8", "replace")) < 200_000
    assert all(line.isprintable() for line in text.splitlines())
    assert "://" not in text
    assert "www." not in text
    assert not [line for line in text.splitlines() if line.startswith("Bcc")]


# --- Security Hub -----------------------------------------------------------------------------------------------------------------------

HUB = frozenset({Channel.SECURITY_HUB})
HIGH = replace(CRITICAL, rule="scanning", severity=Severity.HIGH)


def states(world: World) -> dict[str, str]:
    return {each["Title"]: each["RecordState"] for each in world.hub.findings.values()}


def test_a_finding_is_active_while_it_is_open_and_archived_afterwards() -> None:
    world = World(HUB)
    world.hand_on(world.write("change", a_change(CRITICAL, HIGH), findings=(CRITICAL, HIGH)))
    assert world.deliver() == frozenset()
    assert states(world) == {"naming: payments/api": "ACTIVE", "scanning: payments/api": "ACTIVE"}
    resolved = replace(CRITICAL, state=FindingState.RESOLVED, resolution="it is compliant again")
    world.hand_on(world.write("swept", {**a_change(), "resolved": [finding_as_data(resolved)]}, findings=(resolved, HIGH)))
    world.now += timedelta(hours=1)
    assert world.deliver() == frozenset()
    assert states(world) == {"naming: payments/api": "ARCHIVED", "scanning: payments/api": "ACTIVE"}
    (archived,) = [each for each in world.hub.findings.values() if each["RecordState"] == "ARCHIVED"]
    assert archived["Description"] == "it is called wrongly (resolved: it is compliant again)"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_whichever_entry_comes_last_what_is_true_now_stands_there(order: tuple[int, int]) -> None:
    world = World(HUB)
    resolved = replace(CRITICAL, state=FindingState.RESOLVED)
    entries = [
        world.write("change", a_change(CRITICAL), findings=(CRITICAL,)),
        world.write("change", {**a_change(), "resolved": [finding_as_data(resolved)]}, findings=(resolved,)),
    ]
    for which in order:
        world.hand_on(entries[which])
        world.now += timedelta(seconds=1)
        world.deliver()
    assert states(world) == {"naming: payments/api": "ARCHIVED"}


def test_what_is_exempt_by_now_is_archived_with_the_next_entry() -> None:
    world = World(HUB)
    exempt = replace(CRITICAL, state=FindingState.EXEMPT, resolution="until 2027-03-31, search: renamed")
    world.hand_on(world.write("change", a_change(HIGH), findings=(exempt, HIGH)))
    world.deliver()
    assert states(world) == {"naming: payments/api": "ARCHIVED", "scanning: payments/api": "ACTIVE"}


def test_an_exemption_alone_brings_it_up_to_date() -> None:
    exempt = replace(CRITICAL, state=FindingState.EXEMPT, resolution="until 2027-03-31, search: renamed")
    body = {**a_change(), "exempted": [finding_as_data(exempt)]}
    assert is_for_security_hub(Told(NAME, 2, "swept", body))
    assert not is_for_security_hub(Told(NAME, 2, "swept", a_change()))
    world = World(HUB)
    world.hand_on(world.write("swept", body, findings=(exempt,)))
    world.deliver()
    assert states(world) == {"naming: payments/api": "ARCHIVED"}


@pytest.mark.parametrize("again", [False, True])
def test_what_ended_with_a_repository_is_archived_though_the_one_in_its_place_knows_nothing_of_it(*, again: bool) -> None:
    world = World(HUB)
    world.hand_on(world.write("change", a_change(CRITICAL, HIGH), findings=(CRITICAL, HIGH)))
    world.deliver()
    ended = [finding_as_data(replace(each, state=FindingState.RESOLVED, resolution="another repository")) for each in (CRITICAL, HIGH)]
    findings = (replace(CRITICAL, opened_at=T0 + timedelta(days=1)),) if again else ()
    world.hand_on(world.write("change", {**a_change(*findings), "resolved": ended}, findings=findings))
    world.now += timedelta(days=1)
    assert world.deliver() == frozenset()
    assert states(world) == {"naming: payments/api": "ACTIVE" if again else "ARCHIVED", "scanning: payments/api": "ARCHIVED"}
    (archived,) = [each for each in world.hub.findings.values() if each["Title"].startswith("scanning")]
    assert archived["Description"].endswith("(resolved: another repository)")


def test_one_finding_that_is_not_taken_brings_back_its_repository_alone() -> None:
    world = World(HUB)
    for name in ("payments/one", "payments/two"):
        finding = replace(CRITICAL, repository=name)
        world.hand_on(world.write("change", a_change(finding), name, findings=(finding,)))
    bad = security_finding(replace(CRITICAL, repository="payments/one"), world.hub.product, T0)["Id"]
    world.hub.refused = {bad: "InvalidInput: something"}
    assert world.deliver() == {Errand(Channel.SECURITY_HUB, "payments/one", 1)}
    assert states(world) == {"naming: payments/two": "ACTIVE"}
    world.hub.refused = {}
    assert world.deliver() == frozenset()
    assert len(states(world)) == 2
    world.hub.troubles = [Undeliverable("securityhub:BatchImportFindings: InternalException")]
    assert world.deliver() == frozenset()
    assert world.hub.troubles, "what was taken is not put there again"


def test_a_hub_that_does_not_answer_keeps_no_other_channel_waiting() -> None:
    world = World(HUB | {Channel.ALERTS})
    world.hand_on(world.write("change", a_change(CRITICAL), findings=(CRITICAL,)))
    world.hub.troubles = [Undeliverable("securityhub:BatchImportFindings: InternalException")]
    assert world.deliver() == {Errand(Channel.SECURITY_HUB, NAME, 1)}
    assert len(world.topic.sent) == 1
    assert world.deliver() == frozenset()
    assert len(world.topic.sent) == 1


def test_only_what_is_said_of_findings_goes_to_security_hub() -> None:
    world = World(HUB)
    world.hand_on(world.write("change", a_change()), world.write("retirement", a_step("marked")))
    assert world.queue.put_there == []


@given(st.text(max_size=3000), st.text(max_size=400), st.sampled_from(FindingState))
def test_whatever_a_finding_says_security_hub_takes_it(reason: str, resolution: str, state: FindingState) -> None:
    finding = replace(CRITICAL, repository="a" * 256, reason=reason, resolution=resolution, state=state)
    made = security_finding(finding, FakeSecurityHub.product, T0)
    assert 0 < len(made["Title"]) <= TITLE_LIMIT
    assert 0 < len(made["Description"]) <= DESCRIPTION_LIMIT
    assert made["Description"].strip()
    assert made["Description"].isprintable()
    assert len(made["Id"]) <= 512
    assert (made["RecordState"] == "ACTIVE") is (state is FindingState.OPEN)
    assert not made.keys() & {"Workflow", "Note", "UserDefinedFields", "VerificationState", "Severity", "Types"}


# --- webhook ----------------------------------------------------------------------------------------------------------------------------

HOOK = frozenset({Channel.WEBHOOK})


def test_a_webhook_gets_the_events_of_the_bus_once_and_by_a_name_that_stays() -> None:
    world = World(HOOK)
    told = [world.write("change", a_change(HIGH)), world.write("retirement", a_step("archived")), world.write("change", a_change())]
    world.hand_on(*told)
    for _ in range(2):
        assert world.deliver() == frozenset()
    assert [identity for identity, _ in world.hook.taken] == [f"{ACCOUNT}/{REGION}/{NAME}#1", f"{ACCOUNT}/{REGION}/{NAME}#2"]
    sent = [(each["detail-type"], each["detail"]) for _, document in world.hook.taken for each in document["events"]]
    assert sent == world.bus.events


def test_once_the_receiver_does_not_answer_the_rest_waits() -> None:
    world = World(HOOK)
    world.hand_on(*(world.write("change", a_change(HIGH)) for _ in range(4)))
    world.hook.refusals = [None, Undeliverable("the webhook answered 503")]
    assert {errand.number for errand in world.deliver()} == {2, 3, 4}
    assert len(world.hook.taken) == 1
    assert world.deliver() == frozenset()
    assert len(world.hook.taken) == 4


def test_one_that_is_refused_for_itself_keeps_no_other_waiting() -> None:
    world = World(HOOK)
    world.hand_on(*(world.write("change", a_change(HIGH)) for _ in range(3)))
    world.hook.refusals = [Undeliverable("the webhook answered 422", only_this_one=True)]
    assert {errand.number for errand in world.deliver()} == {1}
    assert [identity.rpartition("#")[2] for identity, _ in world.hook.taken] == ["2", "3"]


def test_without_time_nothing_more_is_begun() -> None:
    world = World(HOOK)
    world.hand_on(*(world.write("change", a_change(HIGH)) for _ in range(3)))
    world.services = replace(world.services, may_go_on=lambda: not world.hook.taken)
    assert {errand.number for errand in world.deliver()} == {2, 3}


def test_what_was_switched_off_since_is_told_nowhere_and_does_not_come_again() -> None:
    world = World(frozenset(Channel))
    world.hand_on(world.write("change", a_change(CRITICAL), findings=(CRITICAL,)))
    assert {errand.channel for errand, _ in world.queue.put_there} == set(Channel) - {Channel.EVENT_BUS}
    world.services = replace(world.services, alerts=None, security_hub=None, webhook=None)
    assert world.deliver() == frozenset()
    assert (world.topic.sent, world.hub.findings, world.hook.taken) == ([], {}, [])
