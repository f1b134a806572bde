"""Telling people and programs: one message per change, one digest for a burst, nothing lost, nothing told twice."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ecr_governor.app.errors import ChannelRefused, Throttled, Undeliverable, Unintelligible
from ecr_governor.app.notify import CHAT, SUMMED_UP, People, go_on, tell_people, tell_programs
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.announcement import Told
from ecr_governor.core.origin import News
from ecr_governor.core.record import Entry, Trigger
from tests.fakes import (
    ACCOUNT,
    ENFORCING,
    REGION,
    T0,
    FakeBus,
    FakeChat,
    FakeRegistry,
    FixedPolicy,
    InMemoryConversations,
    InMemoryLedger,
    a_policy,
    a_repository,
)
from tests.slack_limits import check_slack_limits


class World:
    """`notify` with its ports, behind a ledger that real looks have written."""

    def __init__(self, *names: str, policy: str = ENFORCING) -> None:
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(a_policy(policy))
        self.registry = FakeRegistry(*(a_repository(name) for name in names))
        self.chat = FakeChat()
        self.bus = FakeBus()
        for name in names:
            self.look(name)

    def look(self, name: str) -> None:
        reconcile(name, News(), Trigger("CreateRepository", "ci/build-1"), Services(self.registry, self.ledger, self.policies), T0)

    @property
    def entries(self) -> list[Told]:
        return [Told(entry.repository, entry.number, entry.kind, entry.body) for entry in self.ledger.all_entries if entry.kind == "change"]

    def tell(self, entries: list[Told] | None = None) -> frozenset[tuple[str, int]]:
        told = self.entries if entries is None else entries
        programs = tell_programs(told, self.bus, self.ledger, ACCOUNT, REGION, T0)
        return programs | tell_people(told, People(self.ledger, self.policies, self.chat, InMemoryConversations(), ACCOUNT, REGION), T0)


def test_one_change_is_one_message_however_often_it_comes() -> None:
    world = World("paymets/api")
    for _ in range(5):
        assert world.tell() == frozenset()
    assert len(world.chat.posted) == 1
    assert "New repository needs attention: paymets/api" in world.chat.posted[0]["text"]
    assert [kind for kind, _ in world.bus.events].count("Repository Created") == 1


def test_several_changes_of_one_repository_become_one_message() -> None:
    world = World("paymets/api")
    world.registry.repositories.pop("paymets/api")
    world.look("paymets/api")
    assert len(world.entries) == 2
    world.tell()
    assert len(world.chat.posted) <= 1


def test_a_repository_in_good_order_is_told_to_programs_and_not_to_people() -> None:
    world = World("payments/api", policy="mode: audit\n")
    world.tell()
    assert world.chat.posted == []
    assert [kind for kind, _ in world.bus.events] == ["Repository Created"]


def test_a_burst_is_one_digest() -> None:
    world = World(*(f"paymets/service-{number}" for number in range(40)))
    world.tell()
    (digest,) = world.chat.posted
    assert "40 repositories changed" in digest["text"]
    assert "*naming*: 40 repositories" in json.dumps(digest)
    world.tell()
    assert len(world.chat.posted) == 1


@pytest.mark.parametrize(("severity", "count", "noted"), [("critical", 9, 9), ("critical", 2, 0), ("high", 9, 0)])
def test_what_is_critical_is_noted_as_told_in_a_digest_which_does_not_name_each(severity: str, count: int, noted: int) -> None:
    policy = f"{ENFORCING}\nrules: {{naming: {{severity: {severity}}}}}\n"
    world = World(*(f"paymets/service-{number}" for number in range(count)), policy=policy)
    world.tell()
    told = [world.ledger.delivered(entry.repository, entry.number) for entry in world.entries]
    assert all(CHAT in each for each in told)
    assert sum(SUMMED_UP in each for each in told) == noted


def test_what_slack_refuses_comes_again_and_the_bus_is_not_told_twice() -> None:
    world = World("paymets/one", "paymets/two", "paymets/three")
    told_once = len(world.entries)
    world.chat.refusals = [Undeliverable("Slack answered 429", 30.0)]
    failed = world.tell()
    assert failed == {(entry.repository, entry.number) for entry in world.entries}
    events = len(world.bus.events)
    assert world.tell() == frozenset()
    assert len(world.chat.posted) == told_once
    assert len(world.bus.events) == events


def test_what_was_delivered_before_slack_refused_is_not_told_again() -> None:
    world = World("paymets/one", "paymets/two")
    original, count = world.chat.post, iter(range(99))

    def second_fails(message: Any, *_where: str) -> None:
        if next(count) == 1:
            raise Undeliverable("Slack answered 500")
        original(message)

    world.chat.post = second_fails  # type: ignore[method-assign]
    assert world.tell() == {("paymets/two", entry.number) for entry in world.entries if entry.repository == "paymets/two"}
    assert world.tell() == frozenset()
    assert len(world.chat.posted) == 2


def test_a_bus_that_refuses_does_not_keep_people_waiting() -> None:
    world = World("paymets/api")
    world.bus.refusals = [Undeliverable("events:PutEvents: InternalFailure")]
    assert world.tell() == {("paymets/api", world.entries[0].number)}
    assert len(world.chat.posted) == 1
    assert world.tell() == frozenset()
    assert len(world.chat.posted) == 1
    assert world.bus.events


def test_an_invalid_policy_file_is_told() -> None:
    world = World()
    entry = Told("@policy", 3, "policy", {"at": T0.isoformat(), "version": "v7", "problem": "policy.yaml:3:1: unknown key `mod`"})
    assert world.tell([entry]) == frozenset()
    assert "policy file is invalid" in world.chat.posted[0]["text"]
    assert world.bus.events == []


def test_a_question_for_people_is_posted_once() -> None:
    world = World()
    body = {"over": ["3 would go on, caps.per_run is 2"], "steps": [{"repository": "a", "to": "archived", "owner": None}], "count": 1}
    entry = Told("@retirement", 1, "approval-asked", {**body, "policy_hash": "abc", "at": T0.isoformat()})
    for _ in range(2):
        assert world.tell([entry]) == frozenset()
    (posted,) = world.chat.posted
    assert posted["text"] == "1 step of retirements wait for a person"
    assert "caps.per_run is 2" in str(posted["blocks"])


def test_violations_below_the_wanted_severity_are_not_announced() -> None:
    world = World("paymets/api", policy=ENFORCING + "notifications: {slack: {min_severity: critical}}\n")
    world.tell()
    assert all("naming" not in message["text"] for message in world.chat.posted)


def test_a_message_that_slack_refuses_keeps_no_other_waiting() -> None:
    world = World("paymets/one", "paymets/two")
    world.chat.refusals = [Undeliverable("Slack answered 400 msg_blocks_too_long", only_this_one=True)]
    assert world.tell() == {(entry.repository, entry.number) for entry in world.entries if entry.repository == "paymets/one"}
    assert len(world.chat.posted) == 1


class DeadLetters:
    """Where things are set aside; `troubles` are what putting them there comes to first."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.sent: list[tuple[Any, str]] = []

    def send(self, body: str, reason: str) -> None:
        if self.troubles:
            raise self.troubles.pop()
        self.sent.append((json.loads(body), reason))


def test_what_slack_takes_in_no_form_is_set_aside_and_counts_as_told_to_nobody() -> None:
    chat, ledger, aside = FakeChat(), InMemoryLedger(), DeadLetters(Throttled("sqs:SendMessage: ThrottlingException"))
    chat.post = lambda *_: refuse()  # type: ignore[method-assign]

    def refuse() -> None:
        raise Undeliverable("Slack refuses the message: msg_too_long", only_this_one=True)

    told = replace(people(chat, ledger), dead_letters=aside)
    entry = _step(1)
    assert tell_people([entry], told, T0) == {(entry.repository, 1)}, "what cannot be set aside now comes again"
    for _ in range(2):
        assert tell_people([entry], told, T0) == frozenset()
    named = {"channel": "slack", "entries": [{"repository": entry.repository, "number": 1, "kind": "retirement"}]}
    assert aside.sent == [(named, "Slack refuses the message: msg_too_long")]
    assert ledger.told_at(entry.repository, 1, CHAT) is None


def test_what_is_set_aside_is_one_message_and_the_others_are_told() -> None:
    world, aside = World("paymets/one", "paymets/two"), DeadLetters()
    world.chat.refusals = [Undeliverable("Slack answered 400 msg_blocks_too_long", only_this_one=True)]
    told = People(world.ledger, world.policies, world.chat, InMemoryConversations(), ACCOUNT, REGION, aside)
    assert tell_people(world.entries, told, T0) == frozenset()
    ((body, _),) = aside.sent
    assert [each["repository"] for each in body["entries"]] == ["paymets/one"]
    assert len(world.chat.posted) == 1


def test_news_of_the_system_waits_too_where_its_channel_refuses() -> None:
    chat, ledger, conversations = FakeChat(), InMemoryLedger(), InMemoryConversations()
    body = {"at": T0.isoformat(), "version": "v7", "problem": "policy.yaml:3:1: unknown key `mod`"}
    ledger.all_entries.append(Entry("@policy", 3, "policy", body, "", ""))
    told = replace(people(chat, ledger), conversations=conversations)
    chat.refusals = [ChannelRefused("Slack refuses channel C0MAIN00001: is_archived")]
    assert tell_people([Told("@policy", 3, "policy", body)], told, T0) == frozenset()
    assert (conversations.kept_back, conversations.asked) == ({("@policy", 3)}, 1)
    go_on(told, T0)
    assert (len(chat.posted), conversations.kept_back, conversations.asked) == (1, set(), 1)


def test_once_slack_refuses_for_its_rate_nothing_more_is_posted() -> None:
    world = World("paymets/one", "paymets/two", "paymets/three")
    world.chat.refusals = [Undeliverable("Slack answered 429", 30.0)]
    world.tell()
    assert world.chat.posted == []


def test_a_record_that_cannot_be_read_does_not_keep_the_news_back() -> None:
    world = World("paymets/api")

    def unreadable(_name: str) -> None:
        raise Unintelligible("written by another release")

    world.ledger.read = unreadable  # type: ignore[method-assign,assignment]
    assert world.tell() == frozenset()
    assert len(world.chat.posted) == 1


LONGEST = "a" * 252


def _step(number: int, to: str = "marked", **more: Any) -> Told:
    body = {
        "at": T0.isoformat(),
        "from": "observed",
        "to": to,
        "intended": None,
        "delete_after": "2026-12-10",
        "owner": "<!channel>",
        "policy_hash": "abc",
        "reasons": [{"check": "unused", "seen": "nothing happened since 2026-08-01 <@U1>", "weight": "for"}],
        **more,
    }
    return Told(f"{LONGEST}{number:04}", number, "retirement", body)


def people(chat: FakeChat, ledger: InMemoryLedger) -> People:
    return People(ledger, FixedPolicy(a_policy("mode: audit")), chat, InMemoryConversations(), ACCOUNT, REGION)


@pytest.mark.parametrize("count", [1, 5, 6, 40])
def test_every_repository_that_is_marked_is_named_to_its_end_in_blocks_and_in_the_bare_text(count: int) -> None:
    chat, ledger = FakeChat(), InMemoryLedger()
    entries = [_step(number) for number in range(count)]
    assert tell_people(entries, people(chat, ledger), T0) == frozenset()
    for part in ("blocks", "text"):
        told = "".join(json.dumps(message[part]) for message in chat.posted)
        assert all(entry.repository in told for entry in entries), part
    assert all(ledger.delivered(entry.repository, entry.number) == {"slack"} for entry in entries)
    for message in chat.posted:
        check_slack_limits(dict(message))
        assert "<!channel>" not in json.dumps(message)
        assert "<@U1>" not in json.dumps(message)


def test_where_slack_is_switched_off_nobody_was_told_of_a_mark() -> None:
    chat, ledger = FakeChat(), InMemoryLedger()
    told = People(ledger, FixedPolicy(a_policy("notifications: {slack: {enabled: false}}")), chat, InMemoryConversations(), ACCOUNT, REGION)
    tell_people([_step(1)], told, T0)
    assert chat.posted == []
    assert ledger.delivered(_step(1).repository, 1) == frozenset()


@pytest.mark.parametrize("to", ["marked", "quarantined", "archived", "deleted", "observed"])
def test_each_step_says_what_it_means(to: str) -> None:
    chat = FakeChat()
    tell_people([_step(1, to)], people(chat, InMemoryLedger()), T0)
    tell_people([_step(2, to, intended="archived", why="ECR refused to archive 3 images")], people(chat, InMemoryLedger()), T0)
    for message in chat.posted:
        check_slack_limits(dict(message))
    assert "Step not completed" in json.dumps(chat.posted[1])
    assert "ECR refused to archive 3 images" in json.dumps(chat.posted[1])


def test_steps_of_retirements_are_told_to_programs() -> None:
    world = World()
    reasons = [{"check": "unused", "seen": "no pull for 94 days", "weight": "for"}]
    marked = {"at": T0.isoformat(), "to": "marked", "intended": None, "delete_after": "2026-12-07", "reasons": reasons, "owner": "payments"}
    soon = {"at": T0.isoformat(), "to": "quarantined", "working_days": 1, "delete_after": "2026-12-07", "owner": None, "policy_hash": "abc"}
    entries, why = (
        [Told("payments/api", 3, "retirement", marked), Told("payments/api", 4, "reminder", soon)],
        ["unused: no pull for 94 days"],
    )
    tell_programs(entries, world.bus, world.ledger, ACCOUNT, REGION, T0)
    assert [(kind, detail["retirement"]) for kind, detail in world.bus.events] == [
        ("Retirement Step", {"step": "marked", "reason": why[0], "why": why, "owner": "payments", "delete_after": "2026-12-07"}),
        ("Retirement Step", {"step": "reminder", "reason": "1 working day left", "why": [], "owner": None, "delete_after": "2026-12-07"}),
    ]
