"""What goes when, as data and as a calendar."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.planning import plan as planned
from ecr_governor.app.retirement.planning import plan_as_data
from ecr_governor.core.retirement.calendar import Date, _folded, as_data, as_ics, dates
from ecr_governor.core.retirement.state import Stage
from tests.fakes import ACCOUNT, REGION, T0, FixedPolicy, InMemoryLedger
from tests.retiring import MemoryRegistry, MemoryRunBook, MemoryTombstones, MemoryWitnesses, an_image, retiring_policy, watched

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"repository": name, "owner": None, "next": None, "then": "quarantined", "next_at": None, **more}


def plan(*items: dict[str, Any]) -> dict[str, Any]:
    return {"at": T0.isoformat(), "items": list(items)}


def test_what_is_due_goes_now_and_what_waits_goes_when_its_time_has_come() -> None:
    due = item("b/due", next="archived", then="archived")
    waits = item("a/waits", next_at=(T0 + 5 * DAY).isoformat(), owner="alice")
    found = dates(plan(waits, due), T0 + 7 * DAY)
    assert found == [Date("b/due", Stage.ARCHIVED, T0, None), Date("a/waits", Stage.QUARANTINED, T0 + 5 * DAY, "alice")]
    assert as_data(found)[1] == {
        "repository": "a/waits",
        "to": "quarantined",
        "not_before": (T0 + 5 * DAY).isoformat(),
        "owner": "alice",
    }


def test_what_is_later_what_returns_and_what_nobody_can_tell_is_left_out() -> None:
    later = item("a/later", next_at=(T0 + 8 * DAY).isoformat())
    returns = item("a/returns", next="observed")
    ends = item("a/ends", then=None, next_at=T0.isoformat())
    assert dates(plan(later, returns, item("a/used"), ends), T0 + 7 * DAY) == []


def test_a_step_on_the_last_day_is_told_and_of_one_moment_they_are_told_by_name() -> None:
    ends = T0 + 7 * DAY
    several = ("b/second", "a/first", "c/third")
    waiting = [item(name, next_at=ends.isoformat()) for name in several]
    assert [date.repository for date in dates(plan(*waiting), ends)] == sorted(several)
    assert dates(plan(*waiting), ends - SECOND) == []


def test_where_a_step_is_known_and_its_time_as_well_both_are_told() -> None:
    known = item("a/known", next="archived", then="deleted", next_at=(T0 + DAY).isoformat())
    assert dates(plan(known), T0 + DAY) == [Date("a/known", Stage.ARCHIVED, T0 + DAY, None)]


FILE = """
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//ECR Governor//Retirement//EN
CALSCALE:GREGORIAN
BEGIN:VEVENT
UID:4edad7ab2aa328104cc2a3d886cd1889@ecr-governor
DTSTAMP:20261103T013000Z
DTSTART;VALUE=DATE:20261103
DTEND;VALUE=DATE:20261104
SUMMARY:payments/api is marked
DESCRIPTION:owner: alice\\, bob\\; and\\\\others\\, account 123456789012\\, eu-we
 st-1
TRANSP:TRANSPARENT
END:VEVENT
BEGIN:VEVENT
UID:75f4bf5d977d608a604b9e1ad4b1a51c@ecr-governor
DTSTAMP:20261103T013000Z
DTSTART;VALUE=DATE:20261102
DTEND;VALUE=DATE:20261103
SUMMARY:a/b goes into quarantine
DESCRIPTION:owner: not known\\, account 123456789012\\, eu-west-1
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
"""
EMPTY = """
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//ECR Governor//Retirement//EN
CALSCALE:GREGORIAN
BEGIN:VTIMEZONE
TZID:UTC
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0000
TZOFFSETTO:+0000
END:STANDARD
END:VTIMEZONE
END:VCALENDAR
"""


@pytest.fixture
def _in_honolulu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "HST10")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_honolulu")
def test_a_calendar_is_the_same_file_in_every_release_and_wherever_it_is_made() -> None:
    """Whoever has subscribed to it would see an event twice if it were another one. Days and times are those of UTC."""
    late = datetime(2026, 11, 2, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    found = [Date("payments/api", Stage.MARKED, late, "alice, bob; and\\others"), Date("a/b", Stage.QUARANTINED, T0, None)]
    assert as_ics(found, "123456789012", "eu-west-1", late) == FILE.lstrip().replace("\n", "\r\n")
    assert as_ics(iter(()), "123456789012", "eu-west-1", late) == EMPTY.lstrip().replace("\n", "\r\n")


@pytest.mark.parametrize(("to", "said"), [(Stage.ARCHIVED, "a/b goes to the archive"), (Stage.DELETED, "a/b is deleted")])
def test_each_step_is_said_in_words(to: Stage, said: str) -> None:
    assert f"\r\nSUMMARY:{said}\r\n" in as_ics([Date("a/b", to, T0, None)], ACCOUNT, REGION, T0)


def test_what_cannot_be_printed_is_a_space() -> None:
    text = as_ics([Date("a/b", Stage.DELETED, T0, "al\u0007ice\nbob")], ACCOUNT, REGION, T0)
    assert "DESCRIPTION:owner: al ice bob\\, " in text.replace("\r\n ", "")


@pytest.mark.parametrize(
    ("line", "octets"),
    [
        ("", [0]),
        ("x" * 75, [75]),
        ("x" * 74 + "é", [74, 3]),
        ("x" * 76, [75, 2]),
        ("x" * 149, [75, 75]),
        ("x" * 150, [75, 75, 2]),
        ("x" * 147 + "é", [75, 75]),
        ("x" * 148 + "é", [75, 74, 3]),
    ],
)
def test_a_line_is_folded_where_the_next_character_has_no_room(line: str, octets: list[int]) -> None:
    folded = _folded(line)
    assert [len(part.encode()) for part in folded.split("\r\n")] == octets
    assert folded.replace("\r\n ", "") == line


names = st.from_regex(r"[a-z0-9]{1,8}([./_-][a-z0-9]{1,8}){0,24}", fullmatch=True)


@settings(max_examples=60)
@given(st.lists(st.tuples(names, st.text(max_size=300)), max_size=5, unique_by=lambda each: each[0]))
def test_a_calendar_keeps_the_rules_of_its_format_whatever_owners_are_called(owned: list[tuple[str, str]]) -> None:
    text = as_ics([Date(name, Stage.DELETED, T0, owner) for name, owner in owned], ACCOUNT, REGION, T0)
    assert text.endswith("END:VCALENDAR\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "").split("\r\n")
    assert unfolded.count("BEGIN:VEVENT") == unfolded.count("END:VEVENT") == len(owned)
    assert [line for line in unfolded if line.startswith("SUMMARY:")] == [f"SUMMARY:{name} is deleted" for name, _ in owned]
    identities = [line for line in unfolded if line.startswith("UID:")]
    assert len(set(identities)) == len(owned)


def test_the_same_dates_give_the_same_bytes() -> None:
    found = [Date("payments/api", Stage.ARCHIVED, T0, "alice, bob; and\\others")]
    assert as_ics(found, ACCOUNT, REGION, T0) == as_ics(found, ACCOUNT, REGION, T0)
    assert "alice\\, bob\\; and\\\\others" in as_ics(found, ACCOUNT, REGION, T0).replace("\r\n ", "")


def test_a_calendar_without_dates_still_holds_a_component() -> None:
    text = as_ics([], "123456789012", "eu-west-1", T0)
    assert "BEGIN:VTIMEZONE" in text
    assert text.count("BEGIN:") == text.count("END:") == 3
    assert "BEGIN:VEVENT" not in text


def test_what_the_plans_own_run_has_done_is_no_step_to_come() -> None:
    made = plan(item("a/done", next="marked"), item("a/kept", next="marked"), item("a/failed", next="marked"))
    made = {
        **made,
        "done": [{"repository": "a/done", "reached": "marked", "why": ""}, {"repository": "a/failed", "reached": None, "why": "denied"}],
    }
    assert [date.repository for date in dates(made, T0 + 7 * DAY)] == ["a/failed", "a/kept"]


MONDAY = datetime(2026, 10, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "due", "opens"),
    [(28, False, "11-10 08"), (31, True, "11-10 08"), (36, True, "11-10 09"), (38, True, "11-17 08")],
)
def test_a_plan_names_moments_within_the_window_of_its_policy(days: int, due: bool, opens: str) -> None:
    """Nobody has used it since a Monday. After 31 days it is due on a Thursday, and the window opens on Tuesdays and Wednesdays."""
    now = MONDAY + days * DAY
    registry, ledger = MemoryRegistry(lambda: now), InMemoryLedger()
    policy = retiring_policy(lambda text: text.replace("[mon, tue, wed, thu, fri, sat, sun]", "[tue, wed], from_hour: 8, until_hour: 15"))
    services = Services(registry, ledger, FixedPolicy(policy), MemoryWitnesses(), MemoryTombstones(), MemoryRunBook())
    registry.hold("payments/api", an_image(1, MONDAY), created_at=MONDAY)
    ledger.records_by_name["payments/api"] = watched("payments/api", MONDAY, MONDAY)

    made = plan_as_data(planned(["payments/api"], 1, tuple(Stage), services, now), deletes=True)

    within = policy.retirement.window.contains(now)
    assert bool(made["withheld"]) is not within
    assert (made["items"][0]["next"], made["items"][0]["next_at"] is None) == ("marked" if due else None, due and within)
    assert [f"{each.at:%m-%d %H}" for each in dates(made, now + 60 * DAY)] == [opens]
