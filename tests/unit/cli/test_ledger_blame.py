"""`ecr-governor ledger blame` tells who last set what, by the ledger and by CloudTrail's records."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli import blame
from cli.blame import US, Doing, last_of, of_ledger, of_record
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.origin import Actor, Creation, News
from ecr_governor.core.record import Entry, Trigger
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.events import recorded
from tests.fakes import ENFORCING, T0, FakeRegistry, FixedPolicy, InMemoryLedger, a_policy, a_repository
from tests.trails import ACCOUNT, BORN, DAY, REGION, Trail

NAME = "payments/api"
ADMIN = Actor(f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "IAMUser")


def put_right() -> InMemoryLedger:
    """A ledger after a creation that was put right, and bob's drift that was too."""
    ledger, registry = InMemoryLedger(), FakeRegistry(a_repository(NAME, created_at=T0))
    services = Services(registry, ledger, FixedPolicy(a_policy(ENFORCING)))
    reconcile(NAME, News(creation=Creation("e-1", T0, ADMIN)), Trigger("CreateRepository", "alice"), services, T0)
    registry.repositories[NAME] = a_repository(NAME, created_at=T0, tag_mutability=registry.repositories[NAME].tag_mutability)
    reconcile(NAME, News(), Trigger("DeleteLifecyclePolicy", "bob"), services, T0 + DAY)
    return ledger


def told(doings: Iterator[Doing] | list[Doing]) -> dict[str, tuple[str, str]]:
    return {setting: (doing.by, doing.source) for setting, doing in last_of(doings).items()}


def records(trail: Trail) -> list[Doing]:
    return [doing for each in trail.records for doing in of_record(recorded(each, ACCOUNT), "ecr-governor")]


def test_the_ledger_tells_of_creation_and_remedies_and_what_they_answered_to() -> None:
    ledger = put_right()
    last = last_of(of_ledger(ledger.read(NAME), ledger.entries(NAME)))
    assert (last["lifecycle policy"].by, last["lifecycle policy"].at) == (US, T0 + DAY)
    assert "because of DeleteLifecyclePolicy by bob" in last["lifecycle policy"].what
    assert (last["tag mutability"].by, last["tag mutability"].at) == (US, T0)
    assert (last["repository policy"].by, last["repository policy"].source) == ("alice", "event e-1")


def test_what_others_did_last_is_theirs_even_if_the_ledger_saw_nothing_wrong_in_it() -> None:
    ledger = put_right()
    doings = list(of_ledger(ledger.read(NAME), ledger.entries(NAME)))
    trail = Trail()
    later = (T0 - BORN) / DAY + 5
    trail.call("SetRepositoryPolicy", later, NAME, "carol", policyText="{}").tagged(NAME, later, "dave", owner="x", team="y")
    trail.call("PutLifecyclePolicy", later, NAME, "eve", error="AccessDenied").untagged(NAME, later + 1, "team", who="frank")
    found = told([*doings, *records(trail)])
    assert found["repository policy"] == ("carol", "event 00000000-0000-4000-8000-000000000000")
    assert (found["tag owner"][0], found["tag team"][0]) == ("dave", "frank")
    assert found["lifecycle policy"][0] == US


def test_what_our_roles_did_is_told_by_the_ledger_where_it_can() -> None:
    ledger = put_right()
    later = (T0 - BORN) / DAY + 1.0001
    trail = Trail().call("PutLifecyclePolicy", later, NAME, role="ecr-governor-RepositoryEventsRole-1")
    trail.call("SetRepositoryPolicy", later, NAME, role="ecr-governor-RetireRole-1")
    found = told([*of_ledger(ledger.read(NAME), ledger.entries(NAME)), *records(trail)])
    assert found["lifecycle policy"][1].startswith("ledger entry")
    assert found["repository policy"] == (US, "event 00000001-0000-4000-8000-000000000000")


@pytest.mark.parametrize(
    ("before", "to", "settings"),
    [
        ("observed", "marked", {"tag ecr-governor:delete-after", "tag ecr-governor:state"}),
        ("marked", "quarantined", {"tag ecr-governor:state", "repository policy"}),
        ("quarantined", "observed", {"tag ecr-governor:delete-after", "tag ecr-governor:state", "repository policy"}),
        ("archived", "deleted", set()),
    ],
)
def test_a_retirement_sets_tags_and_the_repository_policy(before: str, to: str, settings: set[str]) -> None:
    entry = Entry(NAME, 4, "retirement", {"at": T0.isoformat(), "from": before, "to": to, "reasons": []}, "", "")
    assert told(of_ledger(None, [entry])).keys() == settings


class Here:
    """A deployment of which only the ledger is there."""

    stack = "ecr-governor"

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger

    def ledger(self) -> InMemoryLedger:
        return self._ledger

    def client(self, _service: str) -> Any:
        class Client:
            meta = type("Meta", (), {"region_name": REGION})()

        return Client()

    def account_and_time(self) -> tuple[str, datetime]:
        return ACCOUNT, T0


class Registry:
    """ECR, of which only a repository's tags are there; None where it is gone."""

    def __init__(self, tags: Any) -> None:
        self.tags = tags

    def read(self, name: str, facts: frozenset[Fact]) -> Repository | None:
        assert facts == {Fact.TAGS}
        return None if self.tags is None else a_repository(name, tags=self.tags)


@pytest.mark.parametrize("tags", [{"team": "data", "own\x1b[31mer": "x"}, Unreadable("denied"), None], ids=["read", "unread", "gone"])
def test_each_tag_that_is_there_is_told_though_nobody_knows_who_set_it(
    tags: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here: Any = Here(put_right())
    monkeypatch.setattr(blame, "EcrRegistry", lambda _client: Registry(tags))
    unread = isinstance(tags, Unreadable)
    assert blame.run(here, NAME, "json") == (3 if unread else 0)
    told = json.loads(capsys.readouterr().out)
    unknown = [each["setting"] for each in told["settings"] if each["setting"].startswith("tag ") and each["by"] is None]
    assert unknown == (sorted(f"tag {key}" for key in tags) if isinstance(tags, dict) else [])
    assert told["gaps"] == ([f"the tags that {NAME} has: denied"] if unread else [])
    blame.run(here, NAME, "table")
    assert "\x1b" not in capsys.readouterr().out


def test_the_command_prints_a_row_for_each_setting(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: Any = Here(put_right())
    monkeypatch.setattr(blame, "EcrRegistry", lambda _client: Registry({}))
    assert blame.run(here, NAME, "table") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert [word in out for word in ("lifecycle policy", "repository policy", "tag mutability", "scanning")] == [True] * 4
    later = (T0 - BORN) / DAY + 5
    path = Trail().call("PutImageScanningConfiguration", later, NAME, "zoe").lines(tmp_path / "a.jsonl")
    with path.open("a") as file:
        file.write('{"eventSource":"ecr.amazonaws.com"\n')
    assert blame.run(here, NAME, "json", path) == 3
    told = json.loads(capsys.readouterr().out)
    scanning = next(each for each in told["settings"] if each["setting"] == "scanning")
    assert (scanning["by"], datetime.fromisoformat(scanning["at"]).date()) == ("zoe", (T0 + 5 * DAY).date())
    assert len(told["gaps"]) == 1
