"""What goes when, as data and as a calendar."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.retirement.calendar import Date, as_data, as_ics, dates
from ecr_governor.core.retirement.state import Stage
from tests.fakes import ACCOUNT, REGION, T0

DAY = timedelta(days=1)


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
