"""Buttons: what each one offers, what a press comes to, who may, and that the same press again changes nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.entries import _said
from ecr_governor.app.errors import ChannelRefused, SweepRunning, Throttled, Undeliverable, Vanished
from ecr_governor.app.notify import People, tell_people
from ecr_governor.app.pressing import Services, take, take_approved
from ecr_governor.app.reconcile import Services as Looking
from ecr_governor.app.reconcile import reconcile
from ecr_governor.core.announcement import Told
from ecr_governor.core.messages.buttons import exemption_form, of_repository, reply_to_press, to_approve
from ecr_governor.core.origin import News
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.press import (
    KEPT_EXEMPTIONS,
    PRESS,
    Action,
    Members,
    Press,
    Result,
    Subject,
    mark_of,
    refusal_body,
    subject_of,
    value_of,
)
from ecr_governor.core.record import RepositoryRecord, Trigger
from ecr_governor.core.retirement.approval import Approval, ApprovedStep, list_identity
from ecr_governor.core.retirement.state import Retirement, Stage
from local.slack.validation import view_problems
from tests.fakes import (
    ACCOUNT,
    ENFORCING,
    REGION,
    T0,
    FakeBot,
    FakeChat,
    FakeRegistry,
    FixedPolicy,
    InMemoryApprovals,
    InMemoryConversations,
    InMemoryLedger,
    InMemoryOpenings,
    a_policy,
    a_repository,
)
from tests.slack_limits import check_slack_limits, second_opinion, texts

ALICE, BOB, CAROL = "U0ALICE0001", "U0BOB000001", "U0CAROL0001"
GROUP = "S0APPROVERS"
NAME = "paymets/api"
MAIN = "C0MAIN00001"
BUTTONS = f"\nnotifications: {{slack: {{channel: {MAIN}, buttons: {{approve: [{BOB}, {CAROL}], keep_days: 30}}}}}}\n"
AUDIT = ENFORCING.replace("mode: enforce", "mode: audit")
MARKED = Retirement(Stage.MARKED, T0, T0, "world", "terms", "2026-11-16")
REASON = "it is renamed in spring"


@dataclass
class Asked:
    """Those who are asked for what follows from a press. `trouble` is raised by the next of them."""

    looks: list[str] = field(default_factory=list)
    releases: list[tuple[str, str, datetime]] = field(default_factory=list)
    approved: list[Approval] = field(default_factory=list)
    trouble: Exception | None = None

    def _raise(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble:
            raise trouble


@dataclass
class _Looks:
    asked: Asked

    def ask(self, repositories: Sequence[str], at: datetime) -> None:
        self.asked._raise()
        self.asked.looks += repositories


@dataclass
class _Releases:
    asked: Asked

    def ask(self, repository: str, by: str, keep_until: datetime, at: datetime) -> None:
        self.asked._raise()
        self.asked.releases.append((repository, by, keep_until))


@dataclass
class _Reports:
    """A bucket with the latest report, if one was made."""

    made: datetime | None = T0

    def made_at(self, key: str) -> datetime | None:
        assert key == "reports/latest.html"
        return self.made

    def address(self, key: str) -> str:
        return f"s3://reports/{key}"

    def link(self, key: str, hours: int) -> str:
        return f"https://reports.example/{key}?ends={hours}&signature=x"


@dataclass
class _Groups:
    """User groups; `trouble` is why nobody can read them. `asked` are those that somebody wanted to know of."""

    people: dict[str, frozenset[str]] = field(default_factory=dict)
    trouble: str = ""
    asked: list[str] = field(default_factory=list)

    def members(self, group: str) -> Members:
        self.asked.append(group)
        return Members(unreadable=self.trouble) if self.trouble else Members(self.people.get(group, frozenset()))


class World:
    """One repository that breaks rules, its message in Slack, and the people in the channel."""

    def __init__(self, policy: str = AUDIT + BUTTONS, retirement: Retirement | None = None, owner: str = "") -> None:
        self.ledger, self.policies = InMemoryLedger(), FixedPolicy(a_policy(policy))
        self.registry = FakeRegistry(a_repository(NAME, tags={"owner": owner} if owner else {}))
        self.bot, self.conversations = FakeBot(answered=True), InMemoryConversations()
        self.asked, self.approvals = Asked(), InMemoryApprovals()
        self.openings, self.reports, self.link_hours = InMemoryOpenings(), _Reports(), 12
        self.groups = _Groups({GROUP: frozenset({BOB, CAROL})})
        self.plan: Approval | None = None
        self.now, self.number = T0, 0
        self.look()
        if retirement:
            self.ledger.records_by_name[NAME] = replace(self.record, retirement=retirement)
        self.tell()

    @property
    def services(self) -> Services:
        return Services(
            self.ledger,
            self.policies,
            _Looks(self.asked),
            _Releases(self.asked),
            self.approvals,
            lambda: self.plan,
            lambda approval, _press: self.asked.approved.append(approval),
            self.openings,
            self.reports,
            self.bot,
            self.groups,
            self.link_hours,
        )

    @property
    def record(self) -> RepositoryRecord:
        return self.ledger.records_by_name[NAME]

    def look(self) -> None:
        reconcile(NAME, News(), Trigger("PutImage", "ci"), Looking(self.registry, self.ledger, self.policies), self.now)

    def tell(self) -> None:
        entries = [Told(each.repository, each.number, each.kind, each.body) for each in self.ledger.all_entries]
        people = People(self.ledger, self.policies, self.bot, self.conversations, ACCOUNT, REGION)
        assert tell_people([each for each in entries if each.kind in {"change", PRESS}], people, self.now) == frozenset()
        for shown in self.bot.shown:
            for said in (shown.message, *shown.replies):
                check_slack_limits(said)
                second_opinion(said)

    def buttons(self, message: Any = None) -> dict[str, Any]:
        """The buttons of a message by their action; of the repository's own where none is given."""
        blocks = (message or self.bot.shown[0].message)["blocks"]
        return {each["action_id"]: each for block in blocks if block["type"] == "actions" for each in block["elements"]}

    def press(self, button: Any, by: str = ALICE, **filled_in: Any) -> Press:
        self.number += 1
        action, about, posted = Action(button["action_id"]), subject_of(button["value"]), self.bot.shown[0]
        return Press(f"press-{self.number}", action, by, by.lower(), self.now, about, posted.channel, posted.ts, **filled_in)

    def take(self, press: Press) -> Result | None:
        return take(press, self.services, self.now)

    @property
    def entries(self) -> list[Any]:
        return [entry.body for entry in self.ledger.all_entries if entry.kind == PRESS]


def asks(world: World, by: str = ALICE) -> Press:
    return world.press(world.buttons()["exempt"], by, reason=REASON, ticket="OPS-1", until=date(2027, 1, 31))


# --- what is offered ------------------------------------------------------------------------------------------------------------------


def test_what_is_retiring_can_be_kept_claimed_and_exempted_and_each_button_says_its_term() -> None:
    world = World(retirement=MARKED)
    assert [each["text"]["text"] for each in world.buttons().values()] == ["Keep 30 days", "Claim", "Exempt until…", "Open report"]
    about = subject_of(world.buttons()["keep"]["value"])
    assert about == Subject(NAME, T0, mark_of(MARKED), 30)


def test_findings_can_be_claimed_and_exempted_and_nothing_is_kept() -> None:
    world = World()
    assert list(world.buttons()) == ["claim", "exempt", "open_report"]
    assert subject_of(world.buttons()["exempt"]["value"]).rules == tuple(sorted(each.rule for each in world.record.open_findings()))


def test_what_has_an_owner_is_not_to_be_claimed() -> None:
    assert list(World(owner="payments").buttons()) == ["exempt", "open_report"]


@pytest.mark.parametrize(
    ("policy", "answered"),
    [(AUDIT + BUTTONS, False), (AUDIT + BUTTONS.replace("keep_days: 30", "enabled: false"), True)],
)
def test_there_are_no_buttons_where_a_press_would_reach_nobody(policy: str, answered: bool) -> None:
    world = World(policy)
    world.bot = FakeBot(answered=answered)
    world.conversations.messages.clear()
    world.ledger.told.clear()
    world.tell()
    assert world.buttons() == {}


def test_without_approvers_nothing_is_offered_that_needs_one() -> None:
    world = World(AUDIT + f"\nnotifications: {{slack: {{channel: {MAIN}}}}}\n", MARKED)
    assert list(world.buttons()) == ["keep", "claim", "open_report"]
    assert to_approve({"count": 1, "approves": "x"}, Buttons(approve=(BOB,))) == []
    assert to_approve({"count": 1}, Buttons(approve=(BOB, CAROL))) == []


def test_of_what_is_in_good_order_only_the_report_can_be_opened_and_of_what_is_gone_nothing() -> None:
    record = RepositoryRecord(NAME, created_at=T0)
    ((button,),) = [block["elements"] for block in of_repository(record, Buttons(approve=(BOB,)))]
    assert (button["action_id"], subject_of(button["value"])) == ("open_report", Subject(NAME))
    assert of_repository(record, Buttons(approve=(BOB,), open_report=())) == []
    assert of_repository(replace(record, retirement=MARKED, gone_at=T0), Buttons(approve=(BOB,))) == []


def test_a_webhook_has_no_buttons() -> None:
    world = World()
    chat = FakeChat()
    entries = [Told(each.repository, each.number, each.kind, each.body) for each in world.ledger.all_entries]
    world.ledger.told.clear()
    tell_people(entries, People(world.ledger, world.policies, chat, world.conversations, ACCOUNT, REGION), T0)
    assert chat.posted
    assert "actions" not in json.dumps(chat.posted)


# --- what a press comes to ------------------------------------------------------------------------------------------------------------


def test_keep_asks_for_a_release_that_lasts_as_long_as_the_button_says() -> None:
    world = World(retirement=MARKED)
    press = world.press(world.buttons()["keep"])
    assert world.take(press) is Result.DONE
    assert world.asked.releases == [(NAME, f"slack:{ALICE} ({ALICE.lower()})", T0 + timedelta(days=30))]
    (body,) = world.entries
    assert (body["action"], body["result"], body["by"]["id"], body["press"]) == ("keep", "done", ALICE, press.id)
    assert world.record.retirement == MARKED, "what is undone in ECR is undone by others"


def test_keep_holds_from_the_press_on_and_the_longest_term_counts() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.take(world.press(button))
    assert world.record.kept_until == T0 + timedelta(days=30)
    short = world.press(button, BOB)
    world.take(replace(short, subject=replace(short.subject, days=7)))
    assert world.record.kept_until == T0 + timedelta(days=30)


def test_keep_promises_nothing_of_a_deletion_that_has_begun() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.ledger.records_by_name[NAME] = replace(world.record, retirement=replace(MARKED, stage=Stage.ARCHIVED, intended=Stage.DELETED))
    assert world.take(world.press(button)) is Result.DONE
    assert world.record.kept_until == T0 + timedelta(days=30)
    assert world.entries[-1]["words"] == "asks to keep it; its deletion has begun, and what is gone already does not come back"
    assert len(world.asked.releases) == 1


def test_the_same_press_again_changes_nothing_and_is_answered_once() -> None:
    world = World(retirement=MARKED)
    press = world.press(world.buttons()["keep"])
    assert [world.take(press), world.take(press), world.take(press)] == [Result.DONE, None, None]
    assert len(world.entries) == 1
    assert set(world.asked.releases) == {(NAME, press.person, T0 + timedelta(days=30))}


@pytest.mark.parametrize("action", ["keep", "claim"])
def test_who_might_not_press_does_not_come_to_it_because_the_press_comes_again(action: str) -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"{action}: [{GROUP}]"), MARKED)
    press = world.press(world.buttons()[action], ALICE)
    assert world.take(press) is Result.FORBIDDEN
    world.groups.people[GROUP] |= {ALICE}
    assert world.take(press) is None
    assert (world.asked.releases, world.asked.looks, world.record.claimed_by) == ([], [], "")
    assert len(world.entries) == 1
    assert world.take(world.press(world.buttons()[action], ALICE)) is Result.DONE, "who presses now may"


@pytest.mark.parametrize("action", ["keep", "claim"])
def test_what_was_not_asked_of_others_is_asked_when_the_press_comes_again(action: str) -> None:
    world = World(retirement=MARKED)
    press = world.press(world.buttons()[action])
    world.asked.trouble = Throttled("sqs")
    with pytest.raises(Throttled):
        world.take(press)
    assert (world.asked.releases, world.asked.looks) == ([], [])
    assert world.take(press) is None
    assert len(world.asked.releases) + len(world.asked.looks) == 1
    assert len(world.entries) == 1


def test_somebody_elses_second_press_finds_it_done() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.take(world.press(button))
    world.ledger.records_by_name[NAME] = replace(world.record, retirement=Retirement(Stage.OBSERVED, T0, T0))
    assert world.take(world.press(button, BOB)) is Result.ALREADY
    assert len(world.asked.releases) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"retirement": replace(MARKED, fingerprint="another world")},
        {"retirement": replace(MARKED, delete_after="2027-01-01")},
        {"created_at": T0 + timedelta(days=1)},
        {"gone_at": T0},
    ],
)
def test_a_button_that_was_shown_for_something_else_does_nothing(changed: dict[str, Any]) -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.ledger.records_by_name[NAME] = replace(world.record, **changed)
    assert world.take(world.press(button)) is Result.STALE
    assert world.asked == Asked()


def test_through_its_stages_a_mark_is_the_same_one() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.ledger.records_by_name[NAME] = replace(world.record, retirement=replace(MARKED, stage=Stage.QUARANTINED, original_policy="{}"))
    assert world.take(world.press(button)) is Result.DONE


def test_who_claims_is_the_owner_until_a_tag_names_one() -> None:
    world = World()
    press = world.press(world.buttons()["claim"])
    assert world.take(press) is Result.DONE
    assert (world.record.owner, world.asked.looks) == (press.person, [NAME])
    world.look()
    assert world.record.owner == press.person
    assert world.take(world.press({"action_id": "claim", "value": value_of(press.subject)}, BOB)) is Result.ALREADY
    world.registry.repositories[NAME] = replace(world.registry.repositories[NAME], tags={"owner": "payments"})
    world.look()
    assert world.record.owner == "payments"


@pytest.mark.parametrize(
    ("owner", "channel"), [("payments*", MAIN), ("*payments*", MAIN), ("slack:* (*)", MAIN), (f"slack:{ALICE}", "C0PAYMENTS1")]
)
def test_no_name_that_a_person_chooses_is_taken_for_an_owner_that_a_route_names(owner: str, channel: str) -> None:
    routed = BUTTONS.replace("buttons:", f"routes: [{{owner: '{owner}', channel: C0PAYMENTS1}}], buttons:")
    world = World(AUDIT + routed)
    world.take(replace(world.press(world.buttons()["claim"], ALICE), name="payments-core (payments)"))
    assert world.record.owner == f"slack:{ALICE} (payments-core (payments))"
    assert world.policies.policy.notifications.slack.place_of(NAME, world.record.owner, {}, ()).channel == channel


def test_an_exemption_holds_once_somebody_else_has_confirmed_it_and_until_its_day() -> None:
    world = World()
    before = {each.rule for each in world.record.open_findings()}
    assert before
    asked = asks(world)
    assert world.take(asked) is Result.WAITS
    world.look()
    assert {each.rule for each in world.record.open_findings()} == before, "asking for it changes nothing"
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    assert world.take(world.press(confirm, BOB)) is Result.DONE
    assert world.asked.looks == [NAME]
    world.look()
    assert world.record.open_findings() == ()
    assert all(REASON in each.resolution and "OPS-1" in each.resolution for each in world.record.findings)
    assert world.record.due_at == datetime(2027, 2, 1, tzinfo=UTC)
    world.now = datetime(2027, 2, 1, tzinfo=UTC)
    world.look()
    assert {each.rule for each in world.record.open_findings()} == before


def test_who_asks_does_not_confirm_and_who_is_not_named_does_not_either() -> None:
    world = World()
    world.take(asks(world, BOB))
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    assert world.take(world.press(confirm, BOB)) is Result.FORBIDDEN
    assert world.take(world.press(confirm, ALICE)) is Result.FORBIDDEN
    assert world.take(world.press(confirm, CAROL)) is Result.DONE
    assert world.take(world.press(confirm, CAROL)) is Result.ALREADY
    assert [each.confirmed_by != "" for each in world.record.exemptions] == [True]


def test_an_exemption_of_what_is_retiring_gives_it_back() -> None:
    world = World(retirement=MARKED)
    world.take(asks(world))
    world.tell()
    world.take(world.press(world.buttons(world.bot.shown[0].replies[-1])["confirm"], BOB))
    ((name, _, until),) = world.asked.releases
    assert (name, until) == (NAME, datetime(2027, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("reason", "until"),
    [("short", date(2027, 1, 31)), (REASON, date(2026, 11, 1)), (REASON, None), (REASON, date(2028, 1, 1)), (" " * 20, date(2027, 1, 31))],
)
def test_what_is_unfit_is_not_asked_for_whatever_the_form_let_pass(reason: str, until: date | None) -> None:
    world = World()
    assert world.take(replace(asks(world), reason=reason, until=until)) is Result.UNFIT
    assert world.record.exemptions == ()


def test_what_was_mended_meanwhile_needs_no_exemption() -> None:
    world = World()
    press = asks(world)
    world.policies.policy = a_policy("mode: audit" + BUTTONS)
    world.look()
    assert world.take(press) is Result.STALE


def test_a_confirmation_of_what_does_not_stand_any_more_does_nothing() -> None:
    world = World()
    world.take(asks(world))
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    world.now = datetime(2027, 2, 1, tzinfo=UTC)
    assert world.take(world.press(confirm, BOB)) is Result.STALE
    assert world.take(replace(world.press(confirm, BOB), subject=Subject(NAME, T0, proposal="unknown"))) is Result.STALE


def test_what_somebody_asked_for_gives_way_to_nobody_elses_request() -> None:
    world = World()
    world.take(asks(world, CAROL))
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    people = [f"U0PERSON{number:03}" for number in range(2 * KEPT_EXEMPTIONS)]
    results = [world.take(asks(world, person)) for person in people]
    room = KEPT_EXEMPTIONS - 1
    assert results == [Result.WAITS] * room + [Result.ALREADY] * (len(people) - room)
    assert [each.asked_by for each in world.record.exemptions] == [CAROL, *people[:room]]
    assert "10 exemptions of it stand already" in world.entries[-1]["words"]
    assert world.take(world.press(confirm, BOB)) is Result.DONE
    world.now = datetime(2027, 2, 1, tzinfo=UTC)
    world.look()
    assert world.take(replace(asks(world, ALICE), until=date(2027, 2, 20))) is Result.WAITS, "what has ended takes no room"
    assert len(world.record.exemptions) == 1


def test_who_asks_again_for_the_same_takes_back_what_they_asked_before() -> None:
    world = World()
    world.take(asks(world, ALICE))
    world.tell()
    first = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    world.take(asks(world, CAROL))
    for _ in range(2 * KEPT_EXEMPTIONS):
        assert world.take(asks(world, ALICE)) is Result.WAITS
    assert [each.asked_by for each in world.record.exemptions] == [CAROL, ALICE]
    confirm = world.press(first, BOB)
    assert world.take(confirm) is Result.STALE
    last = replace(confirm, id="confirms", subject=replace(confirm.subject, proposal=world.record.exemptions[-1].id))
    assert world.take(last) is Result.DONE
    assert world.take(asks(world, ALICE)) is Result.WAITS
    assert [bool(each.confirmed_by) for each in world.record.exemptions] == [False, True, False], "what was confirmed stays"


@pytest.mark.parametrize(("key", "action"), [("keep", "keep"), ("claim", "claim"), ("exempt", "exempt")])
def test_who_may_is_said_by_the_policy(key: str, action: str) -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"{key}: [{BOB}]"), MARKED)
    filled_in: dict[str, Any] = {"reason": REASON, "until": date(2027, 1, 31)} if action == "exempt" else {}
    assert world.take(world.press(world.buttons()[action], ALICE, **filled_in)) is Result.FORBIDDEN
    assert world.asked == Asked()
    assert world.take(world.press(world.buttons()[action], BOB, **filled_in)) in {Result.DONE, Result.WAITS}


def test_where_nobody_is_named_nobody_confirms_or_approves() -> None:
    world, button = waiting()
    world.take(asks(world))
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    world.policies.policy = a_policy(AUDIT)
    for person in (ALICE, BOB):
        assert world.take(world.press(confirm, person)) is Result.FORBIDDEN
        assert world.take(world.press(button, person)) is Result.FORBIDDEN
    assert world.asked == Asked()


def test_where_the_policy_switches_buttons_off_one_that_still_stands_does_nothing() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.policies.policy = a_policy(AUDIT + BUTTONS.replace("keep_days: 30", "enabled: false"))
    assert world.take(world.press(button)) is Result.FORBIDDEN
    assert world.asked == Asked()


def test_what_the_ledger_does_not_know_leaves_no_trace() -> None:
    world = World()
    assert world.take(replace(world.press(world.buttons()["claim"]), subject=Subject("payments/unknown", T0))) is None
    assert world.entries == []


def test_somebody_who_writes_at_the_same_moment_is_not_written_over() -> None:
    world = World(retirement=MARKED)
    press = world.press(world.buttons()["claim"])

    def another() -> None:
        world.ledger.records_by_name[NAME] = replace(world.record, version=world.record.version + 1, reminded="7")

    world.ledger.before_write = another
    assert world.take(press) is Result.DONE
    assert (world.record.reminded, world.record.claimed_by) == ("7", press.person)


# --- what is seen of it ---------------------------------------------------------------------------------------------------------------


def test_the_thread_names_who_pressed_and_the_message_is_edited() -> None:
    world = World(retirement=MARKED)
    world.take(world.press(world.buttons()["claim"]))
    world.tell()
    (shown,) = world.bot.shown
    (reply,) = shown.replies
    assert f"{ALICE.lower()} ({ALICE})" in json.dumps(reply)
    assert "says that it is theirs" in json.dumps(reply)
    assert shown.edits == 1
    assert "*Claimed*" in json.dumps(shown.message)
    assert "claim" not in world.buttons()
    world.tell()
    assert (len(shown.replies), shown.edits) == (1, 1)


def test_the_command_line_tells_who_pressed_what() -> None:
    world = World(retirement=MARKED)
    world.take(world.press(world.buttons()["keep"]))
    entry = next(each for each in world.ledger.all_entries if each.kind == PRESS)
    assert list(_said(entry)) == [f"{ALICE.lower()} ({ALICE}) pressed keep, done: keeps it until 2026-12-02"]


def test_a_press_that_did_nothing_is_answered_too() -> None:
    world = World(retirement=MARKED)
    button = world.buttons()["keep"]
    world.ledger.records_by_name[NAME] = replace(world.record, retirement=replace(MARKED, fingerprint="another world"))
    world.take(world.press(button))
    world.tell()
    (reply,) = world.bot.shown[0].replies
    assert "nothing was done: it has changed since" in reply["blocks"][0]["text"]["text"]


def test_where_the_message_was_deleted_nobody_is_told_and_nothing_waits() -> None:
    world = World(retirement=MARKED)
    world.take(world.press(world.buttons()["keep"]))
    world.bot.shown.clear()
    world.tell()


@pytest.mark.parametrize("trouble", [ChannelRefused("channel_not_found"), Vanished("thread_not_found")])
def test_what_waits_for_a_second_person_is_said_where_it_is_heard(trouble: Exception) -> None:
    world = World()
    world.take(asks(world))

    def thread(method: str, _channel: str) -> None:
        if method == "post":
            world.bot.before = lambda *_: None
            raise trouble

    world.bot.before = thread
    told = [Told(entry.repository, entry.number, entry.kind, entry.body) for entry in world.ledger.all_entries if entry.kind == PRESS]
    people = People(world.ledger, world.policies, world.bot, world.conversations, ACCOUNT, REGION)
    assert tell_people(told, people, T0) == frozenset()
    assert "confirm" in json.dumps([shown.message for shown in world.bot.shown[1:]] + world.bot.shown[0].replies)


def test_where_the_bot_was_put_out_of_the_channel_nothing_waits() -> None:
    world = World(retirement=MARKED)
    world.take(world.press(world.buttons()["keep"]))
    world.bot.closed.add(MAIN)
    world.tell()


HOSTILE = st.text(min_size=1, max_size=500)


@settings(deadline=None)
@given(name=HOSTILE, reason=HOSTILE, ticket=HOSTILE)
def test_no_text_of_a_person_becomes_more_than_text(name: str, reason: str, ticket: str) -> None:
    by = {"id": ALICE, "name": name[:80]}
    body = {
        "at": T0.isoformat(),
        "action": "exempt",
        "result": "waits",
        "by": by,
        "words": f"asks to exempt it: {reason} ({ticket})",
        "proposal": "p",
    }
    record = RepositoryRecord(NAME, created_at=T0)
    for result in Result:
        reply = reply_to_press(NAME, record, {**body, "result": result.value}, Buttons(approve=(BOB,)))
        check_slack_limits(reply)
        for text in texts(reply):
            assert "<" not in text.replace("&lt;", "")
            assert text.count("`") == 2 or "`" not in text


def test_the_form_is_within_slacks_limits() -> None:
    longest = "/".join(["a" * 50] * 5) + "/b"
    about = Subject(longest, T0, days=180, rules=tuple(sorted(f"rule-{number}" for number in range(16))))
    assert len(value_of(about)) <= 2000
    form = exemption_form(about, "x" * 3000, date(2027, 1, 1))
    assert view_problems(form) == []


@settings(deadline=None)
@given(
    st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_value_is_an_error_of_another_kind(odd: Any) -> None:
    for text in (odd if isinstance(odd, str) else json.dumps(odd), json.dumps({"r": odd, "b": odd, "d": odd, "u": odd})):
        try:
            about = subject_of(text)
        except ValueError:
            continue
        assert subject_of(value_of(about)) == about


# --- approving a list -----------------------------------------------------------------------------------------------------------------

STEPS = (ApprovedStep("a/b", Stage.QUARANTINED, "f1"), ApprovedStep("a/c", Stage.ARCHIVED, "f2"))


def waiting() -> tuple[World, Any]:
    """A list that only the caps withhold, and the button under the question."""
    world = World()
    world.plan = Approval("nobody", ACCOUNT, REGION, "hash", T0, STEPS)
    question = {"count": 2, "approves": list_identity(STEPS)}
    (block,) = to_approve(question, world.policies.policy.notifications.slack.buttons)
    return world, block["elements"][0]


def test_two_people_lift_the_caps_for_exactly_the_list_that_they_saw() -> None:
    world, button = waiting()
    assert (button["text"]["text"], button["style"], "confirm" in button) == ("Approve 2 steps", "danger", True)
    assert world.take(world.press(button, BOB)) is Result.WAITS
    assert world.asked.approved == []
    assert world.take(world.press(button, BOB)) is Result.ALREADY
    assert world.take(world.press(button, ALICE)) is Result.FORBIDDEN
    second = world.press(button, CAROL)
    assert world.take(second) is Result.DONE
    (approval,) = world.asked.approved
    assert (approval.steps, approval.plan_at) == (STEPS, T0)
    assert approval.by == f"slack:{BOB} ({BOB.lower()}) and slack:{CAROL} ({CAROL.lower()})"
    assert [body["result"] for body in world.approvals.bodies] == ["waits", "already", "forbidden", "done"]


def test_the_second_press_again_asks_again_and_is_written_once() -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    second = world.press(button, CAROL)
    world.take(second)
    assert world.take(second) is None
    assert len(world.approvals.bodies) == 2
    assert world.asked.approved[0] == world.asked.approved[1]
    assert world.take(world.press(button, CAROL)) is Result.ALREADY


@pytest.mark.parametrize(
    "plan",
    [
        None,
        Approval("nobody", ACCOUNT, REGION, "hash", T0, ()),
        Approval("nobody", ACCOUNT, REGION, "hash", T0, STEPS[:1]),
        Approval("nobody", ACCOUNT, REGION, "hash", T0, (STEPS[0], replace(STEPS[1], fingerprint="f3"))),
        Approval("nobody", ACCOUNT, REGION, "hash", T0, (STEPS[0], replace(STEPS[1], to=Stage.MARKED))),
        Approval("nobody", ACCOUNT, REGION, "hash", T0 - timedelta(days=2), STEPS),
    ],
)
def test_a_list_that_is_another_one_by_now_is_not_approved(plan: Approval | None) -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    world.plan = plan
    assert world.take(world.press(button, CAROL)) is Result.STALE
    assert world.asked.approved == []


def test_a_word_is_good_for_a_day() -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    assert world.plan is not None
    world.now += timedelta(hours=25)
    world.plan = replace(world.plan, plan_at=world.now)
    assert world.take(world.press(button, CAROL)) is Result.WAITS
    assert world.take(world.press(button, BOB)) is Result.DONE
    assert len(world.asked.approved) == 1


def test_who_may_not_approve_any_more_has_not_approved() -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    world.policies.policy = a_policy(AUDIT + BUTTONS.replace(f"[{BOB}, {CAROL}]", f"[{ALICE}, {CAROL}]"))
    assert world.take(world.press(button, CAROL)) is Result.WAITS
    assert world.take(world.press(button, ALICE)) is Result.DONE
    assert BOB not in world.asked.approved[0].by


def test_approvers_of_one_list_are_not_those_of_the_next() -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    world.plan = Approval("nobody", ACCOUNT, REGION, "hash", T0, STEPS[:1])
    (block,) = to_approve({"count": 1, "approves": list_identity(STEPS[:1])}, world.policies.policy.notifications.slack.buttons)
    assert world.take(world.press(block["elements"][0], CAROL)) is Result.WAITS
    assert world.asked.approved == []


def test_a_press_that_comes_again_takes_no_other_list() -> None:
    world, button = waiting()
    second = world.press(button, CAROL)
    world.take(world.press(button, BOB))
    world.take(second)
    world.plan = Approval("nobody", ACCOUNT, REGION, "hash", T0, STEPS[:1])
    (block,) = to_approve({"count": 1, "approves": list_identity(STEPS[:1])}, world.policies.policy.notifications.slack.buttons)
    assert world.take(world.press(block["elements"][0], BOB)) is Result.WAITS
    assert world.take(second) is None
    assert [approval.steps for approval in world.asked.approved] == [STEPS]


@pytest.mark.parametrize("trouble", [SweepRunning("a run is at work"), Throttled("dynamodb:GetItem")])
def test_what_keeps_approved_steps_from_being_taken_is_said_and_they_can_be_approved_anew(trouble: Exception) -> None:
    world, button = waiting()
    presses = [world.press(button, who) for who in (BOB, CAROL)]
    assert [world.take(press) for press in presses] == [Result.WAITS, Result.DONE]
    answer = {"channel": MAIN, "ts": "1.1"}

    def fails() -> dict[str, Any]:
        raise trouble

    done = take_approved(fails, "bob and carol", answer, world.approvals, T0)
    assert done == {"refused": [str(trouble)]}
    assert (world.approvals.bodies[-1]["words"], world.approvals.bodies[-1]["message"]) == (str(trouble), answer)
    assert [world.take(press) for press in presses] == [None, None]
    assert len(world.asked.approved) == 1, "nobody has pressed again"
    assert [world.take(world.press(button, who)) for who in (BOB, CAROL)] == [Result.WAITS, Result.DONE]
    assert take_approved(lambda: {"done": []}, "bob and carol", answer, world.approvals, T0) == {"done": []}
    assert world.approvals.bodies[-1]["result"] == "done", "nothing more is said of what was taken"


def test_a_refusal_is_said_though_somebody_presses_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    world, button = waiting()
    read, pressed = world.approvals.read, iter([BOB])

    def reading() -> Any:
        known = read()
        if (who := next(pressed, None)) is not None:
            world.take(world.press(button, who))
        return known

    monkeypatch.setattr(world.approvals, "read", reading)
    take_approved(lambda: {"refused": ["the policy says stop"]}, "x and y", {"channel": MAIN, "ts": "1.1"}, world.approvals, T0)
    assert [body["result"] for body in world.approvals.bodies] == ["waits", "stale"]


def test_that_an_approved_list_was_refused_is_said_there_as_well() -> None:
    world, _ = waiting()
    posted = world.bot.shown[0]
    reasons = [f"payments/service-{number} has changed since" for number in range(9)]
    body = refusal_body("slack:U1 (bob) and slack:U2 (carol)", reasons, posted.channel, posted.ts, T0)
    people = People(world.ledger, world.policies, world.bot, world.conversations, ACCOUNT, REGION)
    assert tell_people([Told("@retirement", 1, PRESS, body)], people, T0) == frozenset()
    (reply,) = posted.replies
    check_slack_limits(reply)
    assert "service-4 has changed since; and 4 more reasons" in json.dumps(reply)
    assert "slack:U1 (bob) and slack:U2 (carol)" in json.dumps(reply)


def test_the_answer_on_a_list_stands_in_the_questions_thread() -> None:
    world, button = waiting()
    world.take(world.press(button, BOB))
    told = Told("@retirement", 1, PRESS, world.approvals.bodies[0])
    people = People(world.ledger, world.policies, world.bot, world.conversations, ACCOUNT, REGION)
    assert tell_people([told], people, T0) == frozenset()
    assert "approves 2 steps" in json.dumps(world.bot.shown[0].replies)


@pytest.mark.parametrize("action", [Action.KEEP, Action.CLAIM, Action.EXEMPT, Action.CONFIRM])
def test_a_button_of_a_repository_says_nothing_of_a_list_and_the_other_way_round(action: Action) -> None:
    world, button = waiting()
    of_list = world.press(button, BOB)
    assert world.take(replace(of_list, action=action)) is Result.FORBIDDEN
    assert world.take(replace(of_list, id="other", subject=Subject(NAME, T0))) is Result.STALE
    assert world.asked == Asked()


# --- opening the report ---------------------------------------------------------------------------------------------------------------


def opens(world: World, by: str = ALICE) -> Press:
    return world.press(world.buttons()["open_report"], by)


def of_report(by: str = ALICE, channel: str = MAIN) -> Press:
    """A press of the button under the report's own message."""
    return Press("of-report", Action.OPEN_REPORT, by, by.lower(), T0, Subject(), channel, "1700000000.000100")


def whispered(world: World) -> str:
    (((_, _, said)),) = world.bot.whispers
    check_slack_limits(said)
    second_opinion(said)
    return "\n".join(texts(said))


def test_who_opens_the_report_gets_a_fresh_link_that_nobody_else_sees() -> None:
    world = World()
    before = json.dumps(world.bot.shown[0].message)
    assert world.take(opens(world)) is Result.DONE
    world.tell()
    assert [(channel, person) for channel, person, _ in world.bot.whispers] == [(MAIN, ALICE)]
    said = whispered(world)
    assert f"<https://reports.example/reports/latest.html?ends=12&amp;signature=x#repository={NAME}|Open it>" in said
    assert "ends after 12 h" in said
    assert "2026-11-02" in said
    assert world.bot.shown[0].replies == []
    assert json.dumps(world.bot.shown[0].message) == before


def test_the_button_under_the_reports_message_opens_the_whole() -> None:
    world = World()
    assert take(of_report(), world.services, T0) is Result.DONE
    assert "signature=x|Open it>" in whispered(world)


def test_who_opened_it_stands_in_the_ledger_and_in_no_thread() -> None:
    world = World()
    world.take(opens(world))
    (body,) = world.openings.bodies.values()
    assert (body["action"], body["result"], body["by"]["id"]) == ("open_report", "done", ALICE)
    assert body["words"] == f"was given a link of 12 h at most to the report of 2026-11-02 at {NAME}"
    assert "https" not in json.dumps(body), "whoever may read the ledger may not read the report by it"
    assert world.entries == []
    people = People(world.ledger, world.policies, world.bot, world.conversations, ACCOUNT, REGION)
    assert tell_people([Told("@report", 1, PRESS, body)], people, T0) == frozenset()
    assert world.ledger.delivered("@report", 1), "it is settled"
    assert world.bot.shown[0].replies == []


def test_the_same_press_again_is_answered_again_and_stands_there_once() -> None:
    world = World()
    press = opens(world)
    assert [world.take(press), world.take(press)] == [Result.DONE, None]
    assert (len(world.openings.bodies), len(world.bot.whispers)) == (1, 2)


def test_a_press_that_was_refused_gives_no_link_when_it_comes_again_after_the_policy_has_changed() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"open_report: [{BOB}]"))
    press = of_report()
    assert take(press, world.services, T0) is Result.FORBIDDEN
    world.policies.policy = a_policy(AUDIT + BUTTONS)
    world.bot.whispers.clear()
    assert take(press, world.services, T0) is None
    assert "press again" in whispered(world)
    assert "https://" not in whispered(world)
    world.bot.whispers.clear()
    assert take(replace(press, id="anew"), world.services, T0) is Result.DONE


def test_what_slack_does_not_take_is_tried_again() -> None:
    world, press = World(), of_report()

    def down(_method: str, _channel: str) -> None:
        world.bot.before = lambda *_: None
        raise Undeliverable("Slack answered 503")

    world.bot.before = down
    with pytest.raises(Undeliverable):
        take(press, world.services, T0)
    take(press, world.services, T0)
    assert (len(world.openings.bodies), len(world.bot.whispers)) == (1, 1)


def test_who_has_left_the_channel_is_not_waited_for() -> None:
    world = World()

    def left(_method: str, _channel: str) -> None:
        raise Undeliverable("chat.postEphemeral: user_not_in_channel", only_this_one=True)

    world.bot.before = left
    assert take(of_report(), world.services, T0) is Result.DONE


def test_without_links_the_answer_is_the_place_and_the_command() -> None:
    world = World()
    world.link_hours = 0
    world.take(opens(world))
    assert "`aws s3 cp s3://reports/reports/latest.html .`" in whispered(world)
    assert "https://" not in whispered(world)
    assert next(iter(world.openings.bodies.values()))["words"] == f"was given the place of the report of 2026-11-02 at {NAME}"


def test_before_the_first_report_the_answer_says_so() -> None:
    world = World()
    world.reports.made = None
    assert world.take(opens(world)) is Result.UNFIT
    assert "There is no report to open: none has been made yet" in whispered(world)


@pytest.mark.parametrize(("named", "button"), [(f"[{BOB}]", True), ("[]", False)])
def test_who_may_open_it_is_said_by_the_policy(named: str, button: bool) -> None:
    world = World()
    press = opens(world)
    world.policies.policy = a_policy(AUDIT + BUTTONS.replace("keep_days: 30", f"open_report: {named}"))
    assert world.take(press) is Result.FORBIDDEN
    assert "under notifications.slack.buttons.open_report" in whispered(world)
    assert "https://" not in whispered(world)
    buttons = world.policies.policy.notifications.slack.buttons
    assert (list(block_actions(of_repository(world.record, buttons)))[-1] == "open_report") is button
    world.bot.whispers.clear()
    assert take(of_report(BOB), world.services, T0) is (Result.DONE if button else Result.FORBIDDEN)


def block_actions(blocks: Any) -> list[str]:
    return [each["action_id"] for block in blocks for each in block["elements"]]


# --- user groups ----------------------------------------------------------------------------------------------------------------------

OF_GROUP = BUTTONS.replace(f"[{BOB}, {CAROL}]", f"[{GROUP}]")


def test_who_is_in_a_group_that_is_named_may_and_who_is_not_may_not() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"keep: [{GROUP}, {ALICE}]"), MARKED)
    press = world.press(world.buttons()["keep"], "U0NOBODY001")
    assert world.take(press) is Result.FORBIDDEN
    assert world.entries[-1]["words"] == "who may is named in the policy file, under notifications.slack.buttons.keep"
    assert world.take(world.press(world.buttons()["keep"], BOB)) is Result.DONE
    assert world.asked.releases[0][1] == f"slack:{BOB} ({BOB.lower()})"


def test_nobody_is_asked_of_groups_where_anybody_may_or_who_presses_is_named() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"keep: [{GROUP}, {ALICE}]"), MARKED)
    world.take(world.press(world.buttons()["keep"], ALICE))
    world.take(world.press(world.buttons()["claim"], "U0NOBODY001"))
    assert world.groups.asked == []


def test_where_a_group_cannot_be_read_nobody_of_it_may_and_the_answer_says_why() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"keep: [{GROUP}]"), MARKED)
    world.groups.trouble = "the bot's token has not the scope usergroups:read"
    assert world.take(world.press(world.buttons()["keep"], BOB)) is Result.FORBIDDEN
    world.tell()
    said = json.dumps(world.bot.shown[0].replies, ensure_ascii=False)
    assert f"whether they may is not known, since who is in {GROUP} could not be read: {world.groups.trouble}" in said
    assert world.asked.releases == []


def test_a_press_that_was_decided_asks_no_group_again() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"keep: [{GROUP}]"), MARKED)
    press = world.press(world.buttons()["keep"], BOB)
    world.asked.trouble = Throttled("sqs:SendMessage")
    with pytest.raises(Throttled):
        world.take(press)
    world.groups.trouble = "Slack answered 503"
    assert world.take(press) is None
    assert len(world.asked.releases) == 1
    assert len(world.entries) == 1


def of_group() -> tuple[World, Any]:
    world, _ = waiting()
    world.policies.policy = a_policy(AUDIT + OF_GROUP)
    (block,) = to_approve({"count": 2, "approves": list_identity(STEPS)}, world.policies.policy.notifications.slack.buttons)
    return world, block["elements"][0]


def test_a_refused_word_does_not_count_because_the_press_comes_again() -> None:
    world, button = of_group()
    assert world.take(world.press(button, BOB)) is Result.WAITS
    press = world.press(button, ALICE)
    assert world.take(press) is Result.FORBIDDEN
    world.groups.people[GROUP] |= {ALICE}
    assert world.take(press) is None
    assert world.asked.approved == []
    assert world.take(world.press(button, ALICE)) is Result.DONE


def test_two_people_of_one_group_lift_the_caps_and_one_person_twice_does_not() -> None:
    world, button = of_group()
    assert world.take(world.press(button, ALICE)) is Result.FORBIDDEN
    assert world.take(world.press(button, BOB)) is Result.WAITS
    assert world.take(world.press(button, BOB)) is Result.ALREADY
    assert world.take(world.press(button, CAROL)) is Result.DONE
    assert len(world.asked.approved) == 1


def test_who_has_left_the_group_has_not_approved() -> None:
    world, button = of_group()
    world.take(world.press(button, BOB))
    world.groups.people[GROUP] = frozenset({CAROL, ALICE})
    assert world.take(world.press(button, CAROL)) is Result.WAITS
    assert world.take(world.press(button, ALICE)) is Result.DONE
    assert BOB not in world.asked.approved[0].by


def test_nobodys_word_is_forgotten_while_a_group_cannot_be_read() -> None:
    world, button = of_group()
    world.policies.policy = a_policy(AUDIT + BUTTONS.replace(f"[{BOB}, {CAROL}]", f"[{GROUP}, {ALICE}]"))
    world.take(world.press(button, BOB))
    world.groups.trouble = "Slack answered 503"
    assert world.take(world.press(button, ALICE)) is Result.FORBIDDEN
    assert "whether all may who approved it is not known" in world.approvals.bodies[-1]["words"]
    world.groups.trouble = ""
    assert world.take(world.press(button, ALICE)) is Result.DONE


def test_a_word_that_has_expired_is_asked_of_no_group() -> None:
    world, button = of_group()
    world.policies.policy = a_policy(AUDIT + BUTTONS.replace(f"[{BOB}, {CAROL}]", f"[{GROUP}, {ALICE}]"))
    world.take(world.press(button, BOB))
    world.now += timedelta(days=2)
    world.groups.trouble = "the bot's token has not the scope usergroups:read"
    # By then the list itself is old: that is the answer, not who might have approved it.
    assert world.take(world.press(button, ALICE)) is Result.STALE


def test_who_asks_for_an_exemption_does_not_confirm_it_by_a_group_either() -> None:
    world = World(AUDIT + OF_GROUP)
    world.take(asks(world, BOB))
    world.tell()
    confirm = world.buttons(world.bot.shown[0].replies[-1])["confirm"]
    assert world.take(world.press(confirm, BOB)) is Result.FORBIDDEN
    assert world.entries[-1]["words"] == "who asks for an exemption does not confirm it"
    assert world.take(world.press(confirm, CAROL)) is Result.DONE


def test_a_report_is_opened_by_who_is_in_the_group() -> None:
    world = World(AUDIT + BUTTONS.replace("keep_days: 30", f"open_report: [{GROUP}]"))
    assert take(of_report(BOB), world.services, T0) is Result.DONE
    world.bot.whispers.clear()
    world.groups.trouble = "Slack answered 503"
    assert take(replace(of_report(CAROL), id="another"), world.services, T0) is Result.FORBIDDEN
    assert "could not be read: Slack answered 503" in whispered(world)
