"""Living messages: one for each repository, edited; its thread calls for attention; digests for many; nothing lost, and next to nothing said twice."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecr_governor.app.errors import ChannelWaits, Full, GovernorError, Throttled, Undeliverable
from ecr_governor.app.living import DIGEST_GROWS_FOR, EDITS_AT_ONCE
from ecr_governor.app.notify import CHAT, SUMMED_UP, TRIES, People, go_on, tell_people
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.announcement import Told
from ecr_governor.core.conversation import Posted
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.origin import News
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import Change, RepositoryRecord, Trigger, append, change_as_data
from ecr_governor.core.repository import TagMutability, TagMutabilitySetting
from ecr_governor.core.retirement.reported import REMINDER
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.severity import Severity
from tests.fakes import (
    ACCOUNT,
    ENFORCING,
    HOUR,
    REGION,
    T0,
    FakeBot,
    FakeRegistry,
    FixedPolicy,
    InMemoryConversations,
    InMemoryLedger,
    Shown,
    a_policy,
    a_repository,
)
from tests.slack_limits import check_slack_limits

MAIN = "C0MAIN00001"
TEAM = "C0PAYMENTS1"
SLACK = f"notifications: {{slack: {{channel: {MAIN}}}}}\n"
ROUTED = f"""
notifications:
  slack:
    channel: {MAIN}
    routes:
      - {{owner: "payments*", channel: {TEAM}, mention: S0PAYMENTS}}
    unowned: {{channel: C0UNOWNED01, mention: U0PLATFORM}}
"""
AUDIT = ENFORCING.replace("mode: enforce", "mode: audit")


class World:
    """`notify` with a bot behind a ledger that real looks write."""

    def __init__(self, *names: str, policy: str = AUDIT + SLACK) -> None:
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(a_policy(policy))
        self.registry = FakeRegistry(*(a_repository(name) for name in names))
        self.bot = FakeBot()
        self.conversations = InMemoryConversations()
        self.now = T0
        for name in names:
            self.look(name)

    def look(self, name: str) -> None:
        reconcile(name, News(), Trigger("PutImage", "ci/build-1"), Services(self.registry, self.ledger, self.policies), self.now)

    def change(self, name: str, **but: Any) -> None:
        """Change a repository, and look at it."""
        self.registry.repositories[name] = replace(self.registry.repositories[name], **but)
        self.now += HOUR
        self.look(name)

    def retire(self, name: str, stage: Stage, **more: Any) -> None:
        """Write a step of a retirement as the use case does."""
        record = self.ledger.read(name)
        assert record is not None
        retirement = Retirement(stage, self.now, record.created_at, delete_after="2026-12-10", notice=record.entries + 1)
        body = {
            "at": self.now.isoformat(),
            "from": "observed",
            "to": stage.value,
            "intended": None,
            "delete_after": "2026-12-10",
            "reasons": [{"check": "idle", "seen": "nothing since 2026-08-01", "weight": "for"}],
            **more,
        }
        self.ledger.write(*append(replace(record, retirement=retirement), "retirement", body))

    @property
    def entries(self) -> list[Told]:
        kinds = {"change", "retirement", REMINDER, "swept"}
        return [Told(entry.repository, entry.number, entry.kind, entry.body) for entry in self.ledger.all_entries if entry.kind in kinds]

    @property
    def people(self) -> People:
        return People(self.ledger, self.policies, self.bot, self.conversations, ACCOUNT, REGION)

    def tell(self, entries: Sequence[Told] | None = None) -> frozenset[tuple[str, int]]:
        failed = tell_people(self.entries if entries is None else entries, self.people, self.now)
        self.check()
        return failed

    def go_on(self) -> None:
        """Do some of what was left for later, as it was asked for."""
        assert self.conversations.asked, "nobody has asked for it"
        self.conversations.asked = 0
        go_on(self.people, self.now, self.conversations.in_vain)
        self.check()

    def check(self) -> None:
        for shown in self.bot.shown:
            for message in (shown.message, *shown.replies):
                check_slack_limits(message)

    @property
    def only(self) -> Shown:
        (shown,) = self.bot.shown
        return shown


def failing(*at: int, trouble: Exception | None = None) -> Callable[[str, str], None]:
    """Refuse the calls of these numbers."""
    calls = iter(range(100_000))

    def before(_method: str, _channel: str) -> None:
        if next(calls) in at:
            raise trouble or Undeliverable("Slack answered 500")

    return before


def test_a_repository_has_one_message_however_often_its_news_comes() -> None:
    world = World("paymets/api")
    for _ in range(3):
        assert world.tell() == frozenset()
    assert "Needs attention: paymets/api" in json.dumps(world.only.message)
    assert "*naming*" in json.dumps(world.only.message)
    assert (world.only.channel, world.only.edits, world.only.replies) == (MAIN, 0, [])


def test_what_gets_worse_edits_the_message_and_calls_in_its_thread() -> None:
    world = World("paymets/api", policy=AUDIT + SLACK)
    world.tell()
    world.policies.policy = a_policy(AUDIT.replace("tag_mutability: IMMUTABLE", "scan_frequency: SCAN_ON_PUSH") + SLACK)
    world.change("paymets/api")
    world.tell()
    assert world.only.edits == 1
    (reply,) = world.only.replies
    assert "*scanning*" in json.dumps(reply)
    assert "*naming*" not in json.dumps(reply), "only what is new is said"
    assert "*scanning*" in json.dumps(world.only.message)


def test_what_is_resolved_edits_the_message_and_calls_nobody() -> None:
    world = World("paymets/api")
    world.tell()
    world.change("paymets/api", tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
    world.tell()
    assert (world.only.edits, world.only.replies) == (1, [])
    said = json.dumps(world.only.message)
    assert "*Resolved*: tag-mutability" in said
    assert ":red_circle: High \\u00b7 *tag-mutability*" not in said


def test_what_is_exempted_edits_the_message_and_calls_nobody() -> None:
    world = World("paymets/api")
    world.tell()
    exemption = "exemptions: [{match: '*', rules: ['*'], reason: renamed next quarter, owner: platform, expires: 2026-12-31}]\n"
    world.policies.policy = a_policy(AUDIT + SLACK + exemption)
    world.change("paymets/api")
    world.tell()
    assert (world.only.edits, world.only.replies) == (1, [])
    said = json.dumps(world.only.message)
    assert "Exempt: paymets/api" in said
    assert ":shield: *Exempt*: lifecycle-policy: until 2026-12-31, platform: renamed next quarter, naming: until" in said


def test_its_history_is_short_and_has_dates() -> None:
    world = World("paymets/api")
    for mutability in [TagMutability.IMMUTABLE, TagMutability.MUTABLE] * 6:
        world.change("paymets/api", tag_mutability=TagMutabilitySetting(mutability))
    world.tell()
    history = next(text for text in json.dumps(world.only.message).split('"') if "What happened" in text)
    assert history.count("<!date^") == 6


def test_a_message_that_somebody_deleted_is_posted_anew() -> None:
    world = World("paymets/api")
    world.tell()
    world.bot.shown.clear()
    world.change("paymets/api", tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
    assert world.tell() == frozenset()
    assert "Resolved" in json.dumps(world.only.message)
    assert world.conversations.messages["paymets/api"].posted == Posted(MAIN, world.only.ts)


def test_a_repository_made_anew_has_a_message_of_its_own() -> None:
    world = World("paymets/api")
    world.tell()
    world.change("paymets/api", created_at=T0 + timedelta(days=1))
    world.tell()
    first, second = world.bot.shown
    assert second.ts != first.ts
    assert "Deleted" not in json.dumps(second.message)


def test_a_repository_that_nobody_was_told_of_is_not_told_of_when_it_is_mended_or_deleted() -> None:
    world = World("payments/api", policy="mode: audit\n" + SLACK)
    world.tell()
    world.registry.repositories.clear()
    world.look("payments/api")
    world.tell()
    assert world.bot.calls == []


def test_a_deletion_is_said_in_the_thread() -> None:
    world = World("paymets/api")
    world.tell()
    world.registry.repositories.clear()
    world.look("paymets/api")
    world.tell()
    assert "Deleted: paymets/api" in json.dumps(world.only.message)
    assert "*Deleted*: `paymets/api`" in json.dumps(world.only.replies)


# --- where it goes --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "channel", "mention"),
    [({"owner": "payments-core"}, TEAM, "<!subteam^S0PAYMENTS>"), ({"owner": "search"}, MAIN, ""), ({}, "C0UNOWNED01", "<@U0PLATFORM>")],
)
def test_it_goes_to_its_owners_channel_and_mentions_whom_the_policy_names(tags: dict[str, str], channel: str, mention: str) -> None:
    world = World(policy=AUDIT + ROUTED)
    world.registry.repositories["paymets/api"] = a_repository("paymets/api", tags=tags)
    world.look("paymets/api")
    world.tell()
    assert world.only.channel == channel
    assert mention in json.dumps(world.only.message)


def test_when_its_owner_is_known_at_last_it_goes_on_there() -> None:
    world = World("paymets/api", policy=AUDIT + ROUTED)
    world.tell()
    world.change("paymets/api", tags={"owner": "payments-core"})
    world.tell()
    former, present = world.bot.shown
    assert (former.channel, present.channel) == ("C0UNOWNED01", TEAM)
    assert f"<#{TEAM}>" in json.dumps(former.message)
    world.change("paymets/api", tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
    world.tell()
    assert (len(world.bot.shown), present.edits) == (2, 1)


def test_a_channel_that_slack_closes_to_us_is_replaced_by_the_one_for_everything() -> None:
    world = World(policy=AUDIT + ROUTED)
    world.bot.closed = {TEAM}
    world.registry.repositories["paymets/api"] = a_repository("paymets/api", tags={"owner": "payments-core"})
    world.look("paymets/api")
    assert world.tell() == frozenset()
    assert world.only.channel == MAIN
    world.change("paymets/api", tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
    world.tell()
    assert world.only.edits == 1


def waits(world: World) -> set[str]:
    return {name for name, _ in world.conversations.kept_back}


def test_where_no_channel_is_left_news_waits_and_the_stream_goes_on() -> None:
    world = World("paymets/one", "paymets/two")
    world.bot.closed = {MAIN}
    for _ in range(3):
        assert world.tell() == frozenset()
    assert waits(world) == {"paymets/one", "paymets/two"}
    assert not any(CHAT in world.ledger.delivered(entry.repository, entry.number) for entry in world.entries)
    assert world.bot.calls == ["post", "post"], "when it comes again in the stream, it waits already"
    for _ in range(3):
        world.go_on()
    assert world.conversations.asked == 1, "it is tried again, be there news or not"
    world.bot.closed.clear()
    world.go_on()
    assert len(world.bot.shown) == 2
    assert waits(world) == set()
    assert all(CHAT in world.ledger.delivered(entry.repository, entry.number) for entry in world.entries)
    world.tell()
    assert [shown.replies for shown in world.bot.shown] == [[], []], "nothing is told twice"


def test_a_channel_for_everything_that_refuses_keeps_no_live_channel_waiting() -> None:
    world = World(policy=AUDIT + ROUTED)
    live = ("paymets/b", "paymets/c")
    for name, owner in (("paymets/a", "search"), *((name, "payments-core") for name in live)):
        world.registry.repositories[name] = a_repository(name, tags={"owner": owner})
        world.look(name)
    for name in ("paymets/a", *live):
        world.retire(name, Stage.MARKED)
    world.bot.closed = {MAIN}
    assert world.tell() == frozenset(), "what fails would hold up all that is behind it in the stream"
    assert {shown.channel for shown in world.bot.shown} == {TEAM}
    assert all(delivered(world, name) for name in live)
    assert not delivered(world, "paymets/a"), "no grace begins"
    world.bot.closed.clear()
    world.go_on()
    assert delivered(world, "paymets/a")
    assert "Marked as unused: paymets/a" in message_of(world, "paymets/a").message["text"]


def test_a_thread_in_a_channel_that_is_closed_to_us_goes_on_in_the_one_for_everything() -> None:
    world = World(policy=AUDIT + ROUTED)
    world.registry.repositories["paymets/api"] = a_repository("paymets/api", tags={"owner": "payments-core"})
    world.look("paymets/api")
    world.tell()
    world.retire("paymets/api", Stage.MARKED)
    # The edit is taken, the word in the thread is not; when it comes again, nothing is left to be edited.
    world.bot.before = failing(1)
    assert world.tell() == {("paymets/api", world.entries[-1].number)}
    world.bot.closed = {TEAM}
    assert world.tell() == frozenset()
    assert delivered(world, "paymets/api")
    assert [shown.channel for shown in world.bot.shown] == [TEAM, MAIN]


def test_what_waits_goes_by_the_policy_as_it_is_by_then() -> None:
    world = World("paymets/api")
    world.bot.closed = {MAIN}
    world.tell()
    world.policies.policy = a_policy(AUDIT + SLACK.replace(MAIN, TEAM))
    world.go_on()
    assert (world.only.channel, waits(world)) == (TEAM, set())
    world = World("paymets/api")
    world.bot.closed = {MAIN}
    world.tell()
    world.policies.policy = a_policy(AUDIT + "notifications: {slack: {enabled: false}}\n")
    world.go_on()
    assert (world.bot.shown, waits(world)) == ([], set())


def test_of_very_many_that_wait_some_are_told_at_once_and_the_others_after_them() -> None:
    world = World()
    told = burst(world, 130)
    world.bot.closed = {MAIN}
    world.tell(told)
    world.bot.closed.clear()
    assert rounds(world) == 3
    assert waits(world) == set()
    assert "130 repositories changed" in world.only.message["text"]


def test_what_cannot_be_kept_waiting_holds_up_the_stream_as_it_must() -> None:
    world = World("paymets/api")
    world.bot.closed = {MAIN}

    def refuse(_entries: Sequence[tuple[str, int]]) -> None:
        raise Full("waiting#07 holds as much as an item can")

    world.conversations.note_waiting = refuse  # type: ignore[method-assign]
    assert world.tell() == {(entry.repository, entry.number) for entry in world.entries}


# --- retirement -----------------------------------------------------------------------------------------------------------------------


def delivered(world: World, name: str) -> bool:
    record = world.ledger.read(name)
    assert record is not None
    assert record.retirement is not None
    return CHAT in world.ledger.delivered(name, record.retirement.notice)


def test_a_mark_is_told_when_slack_has_taken_its_word_and_not_before() -> None:
    world = World("paymets/api")
    world.tell()
    world.retire("paymets/api", Stage.MARKED)
    # The edit is taken, the word in the thread is not.
    world.bot.before = failing(1)
    assert world.tell() == {("paymets/api", world.entries[-1].number)}
    assert not delivered(world, "paymets/api")
    assert world.tell() == frozenset()
    assert delivered(world, "paymets/api")
    assert "Marked as unused" in json.dumps(world.only.replies)
    assert (world.only.edits, len(world.only.replies)) == (1, 1)


@pytest.mark.parametrize("others", [0, 9])
def test_a_mark_is_told_to_the_owner_for_whom_it_was_made(others: int) -> None:
    world = World("paymets/api", policy=AUDIT + ROUTED)
    world.tell()
    # The run has read the tags itself; no look has seen them yet.
    world.retire("paymets/api", Stage.MARKED, owner="payments-core")
    for number in range(others):
        name = f"paymets/service-{number}"
        world.registry.repositories[name] = a_repository(name, tags={"owner": "payments-core"})
        world.look(name)
        world.retire(name, Stage.MARKED, owner="payments-core")
    before = len(world.bot.shown)
    assert world.tell() == frozenset()
    assert delivered(world, "paymets/api")
    assert {shown.channel for shown in world.bot.shown[before:]} == {TEAM}
    assert "paymets/api" in "".join(json.dumps(shown.message) for shown in world.bot.shown[before:])


def test_a_step_that_names_no_owner_goes_where_the_record_says() -> None:
    world = World(policy=AUDIT + ROUTED)
    world.registry.repositories["paymets/api"] = a_repository("paymets/api", tags={"owner": "payments-core"})
    world.look("paymets/api")
    world.retire("paymets/api", Stage.MARKED, owner=None)
    world.tell()
    assert world.only.channel == TEAM


def test_a_mark_of_a_repository_without_a_message_is_told_by_its_first() -> None:
    world = World("payments/api", policy="mode: audit\n" + SLACK)
    world.retire("payments/api", Stage.MARKED)
    world.bot.before = failing(0)
    world.tell()
    assert not delivered(world, "payments/api")
    world.bot.before = failing()
    world.tell()
    assert delivered(world, "payments/api")
    said = json.dumps(world.only.message)
    assert "Marked as unused: payments/api" in said
    assert "2026-12-10" in said


@pytest.mark.parametrize(
    ("stage", "loud"),
    [(Stage.QUARANTINED, True), (Stage.DELETED, True), (Stage.ARCHIVED, False), (Stage.OBSERVED, False)],
)
def test_of_later_steps_those_are_said_in_the_thread_that_take_something_away(stage: Stage, loud: bool) -> None:
    world = World("paymets/api")
    world.tell()
    world.retire("paymets/api", stage)
    world.tell()
    assert (world.only.edits, len(world.only.replies)) == (1, int(loud))


def test_a_step_that_fails_every_night_is_told_once_for_each_reason() -> None:
    world = World("paymets/api")
    world.tell()
    for why in ("no time", "no time", "no time", "refused"):
        world.retire("paymets/api", Stage.MARKED, intended="quarantined", why=why)
        world.tell()
    assert len(world.only.replies) == 2
    assert all(CHAT in world.ledger.delivered(entry.repository, entry.number) for entry in world.entries)


@pytest.mark.parametrize("count", [6, 40])
def test_many_marks_are_told_by_lists_that_name_each(count: int) -> None:
    names = [f"paymets/{'a' * 230}-{number}" for number in range(count)]
    world = World(*names)
    for name in names:
        world.retire(name, Stage.MARKED)
    assert world.tell() == frozenset()
    told = "".join(json.dumps(shown.message) for shown in world.bot.shown if "steps of retirements" in json.dumps(shown.message))
    assert all(name in told for name in names)
    assert all(delivered(world, name) for name in names)


def test_of_a_list_that_slack_did_not_take_nobody_was_told() -> None:
    names = [f"payments/service-{number}" for number in range(20)]
    world = World(*names, policy="mode: audit\n" + SLACK)
    for name in names:
        world.retire(name, Stage.MARKED)
    world.bot.before = failing(1)
    world.tell()
    named = json.dumps(world.only.message)
    assert {name for name in names if delivered(world, name)} == {name for name in names if f"`{name}`" in named}
    assert 0 < sum(delivered(world, name) for name in names) < 20


# --- many at once ---------------------------------------------------------------------------------------------------------------------


def burst(world: World, count: int, prefix: str = "paymets/service") -> list[Told]:
    """So many repositories, each with a finding that opened, as looks would have written them."""
    told = []
    for number in range(count):
        name = f"{prefix}-{number}"
        finding = Finding(name, "naming", Severity.HIGH, FindingState.OPEN, Mode.AUDIT, "no such team", (), T0)
        change = Change(name, T0, Trigger("CreateRepository", "terraform"), "abc", discovered=True, created=True, opened=(finding,))
        record, entry = append(RepositoryRecord(name, created_at=T0, findings=(finding,)), "change", change_as_data(change))
        world.ledger.records_by_name[name] = record
        world.ledger.all_entries.append(entry)
        told.append(Told(name, entry.number, "change", entry.body))
    return told


def test_ten_thousand_findings_at_once_are_a_few_messages_and_none_is_lost_though_slack_refuses_for_the_rate() -> None:
    world = World()
    told = burst(world, 10_000)
    refusals: list[float] = []

    def limited(method: str, _channel: str) -> None:
        # A message a second: every third call comes too early.
        if len(world.bot.calls) % 3 == 2 and len(refusals) <= len(world.bot.calls):
            refusals.append(30.0)
            raise Undeliverable("Slack refuses for the rate of calls", 30.0)

    world.bot.before = limited
    waiting = [told[start : start + 1000] for start in range(0, len(told), 1000)]
    rounds = 0
    while waiting:
        rounds += 1
        assert rounds < 100, "it never ends"
        failed = world.tell(waiting[0])
        waiting[0] = [entry for entry in waiting[0] if (entry.repository, entry.number) in failed]
        if not waiting[0]:
            waiting.pop(0)
    assert refusals
    assert len(world.bot.calls) <= 20
    assert len(world.bot.shown) == 1
    assert "10,000 repositories changed" in world.only.message["text"]
    assert all(CHAT in world.ledger.delivered(entry.repository, entry.number) for entry in told)


def test_what_is_critical_is_noted_as_told_in_a_digest_which_does_not_name_each() -> None:
    world = World(*(f"paymets/service-{number}" for number in range(9)), policy=AUDIT + "rules: {naming: {severity: critical}}\n" + SLACK)
    world.tell()
    assert len(world.bot.shown) == 1
    assert all({CHAT, SUMMED_UP} <= world.ledger.delivered(entry.repository, entry.number) for entry in world.entries)


def test_a_digest_grows_for_a_while_and_then_another_begins() -> None:
    world = World()
    world.tell(burst(world, 10, "a/x"))
    world.now += DIGEST_GROWS_FOR - timedelta(minutes=1)
    world.tell(burst(world, 10, "b/x"))
    assert "20 repositories changed" in world.only.message["text"]
    world.now += timedelta(minutes=2)
    world.tell(burst(world, 10, "c/x"))
    assert [shown.message["text"][:15] for shown in world.bot.shown] == ["20 repositories", "10 repositories"]


def test_a_digest_that_comes_again_is_not_counted_twice() -> None:
    world = World()
    told = burst(world, 10)
    world.tell(told)
    world.ledger.told.clear()
    world.tell(told)
    assert "10 repositories changed" in world.only.message["text"]
    assert world.bot.calls == ["post"]


def test_a_digest_that_somebody_deleted_is_begun_anew() -> None:
    world = World()
    world.tell(burst(world, 10, "a/x"))
    world.bot.shown.clear()
    assert world.tell(burst(world, 10, "b/x")) == frozenset()
    assert "10 repositories changed" in world.only.message["text"]


def test_messages_that_a_digest_left_behind_are_brought_up_to_date_soon() -> None:
    names = [f"paymets/service-{number}" for number in range(30)]
    world = World(policy=AUDIT + SLACK)
    for name in names:
        world.registry.repositories[name] = a_repository(name)
        world.look(name)
        world.tell()
    world.bot.calls.clear()
    world.policies.policy = a_policy(AUDIT.replace("tag_mutability: IMMUTABLE", "scan_frequency: SCAN_ON_PUSH") + SLACK)
    for name in names:
        world.change(name)
    world.tell()
    assert world.bot.calls == ["post"], "what can wait keeps no news waiting"
    world.go_on()
    assert Counter(world.bot.calls) == {"post": 1, "edit": EDITS_AT_ONCE}
    assert rounds(world) == 1
    assert world.conversations.outdated == set()
    of_repositories = [shown for shown in world.bot.shown if "Needs attention" in shown.message["text"]]
    assert len(of_repositories) == 30
    assert all("*scanning*" in json.dumps(shown.message) for shown in of_repositories)


@pytest.mark.parametrize("trouble", [Full("stale#07 holds as much as an item can"), Throttled("dynamodb:UpdateItem: ThrottlingException")])
def test_what_cannot_be_noted_as_out_of_date_keeps_nothing_from_being_said(trouble: GovernorError) -> None:
    names = [f"paymets/service-{number}" for number in range(8)]
    world = World(*names)
    for entry in world.entries:
        world.tell([entry])
    for name in names:
        world.retire(name, Stage.MARKED)

    def refuse(_names: Sequence[str]) -> None:
        raise trouble

    world.conversations.note_stale = refuse  # type: ignore[method-assign]
    assert world.tell() == frozenset()
    assert all(delivered(world, name) for name in names)


def test_where_there_is_no_room_for_more_notes_a_sweeps_news_passes() -> None:
    names = [f"paymets/service-{number:02}" for number in range(EDITS_AT_ONCE + 2)]
    world = World(*names)
    for entry in world.entries:
        world.tell([entry])
    before = len(world.entries)
    for name in names:
        record = world.ledger.read(name)
        assert record is not None
        change = change_as_data(Change(name, world.now, Trigger("Sweep"), "abc"))
        world.ledger.write(*append(replace(record, findings=()), "swept", change))
    noting, asked = world.conversations.note_stale, [Throttled("dynamodb:UpdateItem"), Full("stale#07")]

    def refuse(_names: Sequence[str]) -> None:
        raise asked.pop(0)

    world.conversations.note_stale = refuse  # type: ignore[method-assign]
    assert len(world.tell(world.entries[before:])) == 2, "what passes by itself comes again"
    assert world.tell(world.entries[before:]) == frozenset()
    world.conversations.note_stale = noting  # type: ignore[method-assign]
    assert asked == []


def test_what_a_sweep_found_edits_messages_and_posts_none() -> None:
    world = World("paymets/api", "paymets/other")
    world.tell([entry for entry in world.entries if entry.repository == "paymets/api"])
    record = world.ledger.read("paymets/api")
    assert record is not None
    mended = replace(record, findings=())
    change = Change("paymets/api", world.now, Trigger("Sweep"), "abc", resolved=tuple(record.open_findings()))
    world.ledger.write(*append(mended, "swept", change_as_data(change)))
    swept = [replace(entry, kind="swept") for entry in world.entries if entry.repository == "paymets/other" or entry.kind == "swept"]
    assert world.tell(swept) == frozenset()
    assert world.bot.calls == ["post", "edit"]
    assert "In good order" in json.dumps(world.only.message)


# --- two at once ----------------------------------------------------------------------------------------------------------------------


def swept(world: World, *names: str) -> None:
    """Let a sweep find these repositories in good order, of which their messages do not speak yet."""
    for name in names:
        record = world.ledger.read(name)
        assert record is not None
        change = Change(name, world.now, Trigger("Sweep"), "abc", resolved=tuple(record.open_findings()))
        world.ledger.write(*append(replace(record, findings=()), "swept", change_as_data(change)))
    world.conversations.note_stale(names)
    world.conversations.ask_again()


def meanwhile(world: World, number: int, what: Callable[[], None]) -> None:
    """While Slack takes the edit of this number, somebody else does something."""
    edits = iter(range(1000))

    def before(method: str, _channel: str) -> None:
        if method == "edit" and next(edits) == number:
            what()

    world.bot.before = before


def message_of(world: World, name: str) -> Shown:
    posted = world.conversations.messages[name].posted
    return world.bot.find(posted)


@pytest.mark.parametrize("number", [0, 1])
def test_an_edit_that_comes_late_never_undoes_what_was_told_meanwhile(number: int) -> None:
    names = ("paymets/api", "paymets/web")
    world = World(*names)
    for entry in world.entries:
        world.tell([entry])
    swept(world, *names)

    def marked() -> None:
        world.retire("paymets/web", Stage.MARKED)
        world.tell(world.entries[-1:])

    # The first edit is of the one, the second of the other.
    meanwhile(world, number, marked)
    world.go_on()
    assert delivered(world, "paymets/web")
    assert "Marked as unused: paymets/web" in message_of(world, "paymets/web").message["text"]
    assert world.conversations.outdated == set()
    assert "In good order: paymets/api" in message_of(world, "paymets/api").message["text"]


def test_a_message_that_moves_while_it_is_edited_is_not_followed_by_a_third() -> None:
    world = World("paymets/web", policy=AUDIT + ROUTED)
    world.tell()
    swept(world, "paymets/web")

    def moves() -> None:
        world.change("paymets/web", tags={"owner": "payments-core"})
        world.retire("paymets/web", Stage.MARKED)
        world.tell(world.entries[-1:])

    meanwhile(world, 0, moves)
    world.go_on()
    world.bot.before = failing()
    former, present = world.bot.shown
    assert (former.channel, present.channel) == ("C0UNOWNED01", TEAM)
    assert f"<#{TEAM}>" in json.dumps(former.message)
    world.retire("paymets/web", Stage.QUARANTINED)
    world.tell(world.entries[-1:])
    assert len(world.bot.shown) == 2
    assert "quarantine" in json.dumps(present.message)


def test_where_a_new_message_is_is_kept_though_the_former_is_edited_meanwhile() -> None:
    world = World("paymets/web", policy=AUDIT + ROUTED)
    world.tell()
    world.change("paymets/web", tags={"owner": "payments-core"})

    def before(method: str, _channel: str) -> None:
        if method == "post":
            kept = world.conversations.messages["paymets/web"]
            world.conversations.write("paymets/web", replace(kept, shown="by somebody else"))

    world.bot.before = before
    assert world.tell() == frozenset()
    assert message_of(world, "paymets/web").channel == TEAM
    assert f"<#{TEAM}>" in json.dumps(world.bot.shown[0].message)


def test_what_is_noted_while_a_message_is_edited_stays_noted() -> None:
    world = World("paymets/api")
    world.tell()
    swept(world, "paymets/api")
    meanwhile(world, 0, lambda: world.conversations.note_stale(["paymets/api"]))
    world.go_on()
    assert world.conversations.outdated == {"paymets/api"}


def test_an_edit_that_slack_does_not_take_now_is_made_later() -> None:
    world = World("paymets/api")
    world.tell()
    swept(world, "paymets/api")
    world.bot.before = failing(0)
    world.go_on()
    assert world.conversations.outdated == {"paymets/api"}
    world.go_on()
    assert world.conversations.outdated == set()
    assert "In good order" in json.dumps(world.only.message)


# --- what is left for later -----------------------------------------------------------------------------------------------------------


def rounds(world: World) -> int:
    """Call as often as it is asked for, without any news; say how often that was."""
    for called in range(100):
        if not world.conversations.asked:
            return called
        world.go_on()
    raise AssertionError("it never ends")


def test_all_messages_that_a_sweep_left_behind_are_brought_up_to_date_without_any_news() -> None:
    names = [f"paymets/service-{number:03}" for number in range(105)]
    world = World(*names)
    for entry in world.entries:
        world.tell([entry])
    assert world.conversations.asked == 0
    swept(world, *names)
    world.go_on()
    assert rounds(world) == 105 // EDITS_AT_ONCE
    assert world.conversations.outdated == set()
    assert all("In good order" in shown.message["text"] for shown in world.bot.shown)


def test_what_cannot_be_done_is_not_asked_for_without_an_end_and_begins_anew_with_the_next_news() -> None:
    world = World("paymets/api", "paymets/other")
    world.bot.closed = {MAIN}
    world.tell()
    swept(world, "paymets/api")
    assert rounds(world) == 1 + TRIES, "the first finds nothing to be edited, and the others nothing to be done"
    world.tell([])
    assert world.conversations.asked == 0, "no news, and nothing was done"
    world.change("paymets/other", tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
    world.tell([world.entries[-1]])
    assert (world.conversations.asked, world.conversations.in_vain) == (1, 0)
    world.bot.closed.clear()
    assert rounds(world) == 1
    assert waits(world) == set()


def test_a_message_that_slack_refuses_to_edit_keeps_no_other_as_it_is() -> None:
    names = ("paymets/a", "paymets/b", "paymets/c")
    world = World(*names)
    for entry in world.entries:
        world.tell([entry])
    swept(world, *names)
    world.bot.before = failing(0, trouble=Undeliverable("Slack refuses the message: invalid_blocks", only_this_one=True))
    world.go_on()
    assert [shown.edits for shown in world.bot.shown] == [0, 1, 1]
    assert (world.conversations.outdated, world.conversations.asked) == (set(), 0)


def test_a_channel_that_waits_keeps_nothing_from_being_said_elsewhere() -> None:
    world = World("paymets/a", policy=AUDIT + ROUTED)
    for name in ("paymets/b", "paymets/c"):
        world.registry.repositories[name] = a_repository(name, tags={"owner": "payments-core"})
        world.look(name)

    def before(_method: str, channel: str) -> None:
        if channel == "C0UNOWNED01":
            raise ChannelWaits("Slack refuses for the rate of calls", 40.0)

    world.bot.before = before
    assert {name for name, _ in world.tell()} == {"paymets/a"}
    assert [shown.channel for shown in world.bot.shown] == [TEAM, TEAM]
    world.bot.before = failing()
    world.tell()
    # So it is with what was left for later.
    swept(world, "paymets/a", "paymets/b")
    world.bot.before = before
    world.go_on()
    assert (world.conversations.outdated, world.conversations.asked) == ({"paymets/a"}, 1)


def test_while_slack_is_out_of_order_it_is_asked_for_again() -> None:
    world = World("paymets/a", "paymets/b")
    for entry in world.entries:
        world.tell([entry])
    swept(world, "paymets/a", "paymets/b")
    world.bot.before = failing(0, 1, trouble=Undeliverable("Slack refuses for the rate of calls", 40.0))
    world.go_on()
    assert rounds(world) == 2
    assert [shown.edits for shown in world.bot.shown] == [1, 1]


# --- interruptions --------------------------------------------------------------------------------------------------------------------


class Dead(BaseException):
    """The process ends here."""


def test_whoever_dies_between_a_post_and_its_note_says_it_twice_and_no_more() -> None:
    world = World("paymets/api")
    write, deaths = world.conversations.write, [Dead()]

    def dying(name: str, conversation: Any) -> None:
        if deaths:
            raise deaths.pop()
        write(name, conversation)

    world.conversations.write = dying  # type: ignore[method-assign]
    with pytest.raises(Dead):
        world.tell()
    for _ in range(3):
        assert world.tell() == frozenset()
    assert len(world.bot.shown) == 2


@pytest.mark.parametrize("position", range(12))
def test_whatever_call_fails_everything_is_said_in_the_end(position: int) -> None:
    """Each call in turn: of Slack, and of the ledger after it."""
    world = World("paymets/api", "paymets/web")
    world.tell()
    world.retire("paymets/api", Stage.MARKED)
    world.registry.repositories["paymets/new"] = a_repository("paymets/new")
    world.look("paymets/new")
    calls = iter(range(1000))

    def one_fails(*_: Any) -> None:
        if next(calls) == position:
            raise Throttled("dynamodb:UpdateItem: ThrottlingException")

    marking, writing = world.ledger.mark_delivered, world.conversations.write

    def mark(repository: str, number: int, channel: str, at: datetime) -> None:
        one_fails()
        marking(repository, number, channel, at)

    def write(name: str, conversation: Any) -> None:
        one_fails()
        writing(name, conversation)

    world.bot.before = one_fails
    world.ledger.mark_delivered = mark  # type: ignore[method-assign]
    world.conversations.write = write  # type: ignore[method-assign]
    for _ in range(3):
        failed = world.tell()
    assert failed == frozenset()
    of_new = [shown for shown in world.bot.shown if "paymets/new" in shown.message["text"]]
    marked = next(shown for shown in world.bot.shown if "Marked as unused" in shown.message["text"])
    assert 1 <= len(of_new) <= 2
    assert 1 <= len(marked.replies) <= 2
    assert len(of_new) + len(marked.replies) <= 3, "one failure, one word twice"


def test_a_record_that_cannot_be_read_does_not_keep_the_news_back() -> None:
    world = World("paymets/api")
    world.ledger.records = lambda _names: {}  # type: ignore[method-assign]
    assert world.tell() == frozenset()
    assert "New repository needs attention" in json.dumps(world.only.message)


def test_where_slack_is_switched_off_nothing_is_told_and_no_mark_counts_as_told() -> None:
    world = World("paymets/api", policy=AUDIT + "notifications: {slack: {enabled: false}}\n")
    world.retire("paymets/api", Stage.MARKED)
    world.tell()
    assert world.bot.calls == []
    assert not delivered(world, "paymets/api")
