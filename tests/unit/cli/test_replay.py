"""`ecr-governor replay` shows what an event leads to, as the functions would have it, and writes nothing."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cli.replay import REFUSED, _Notebook, replay
from ecr_governor.app.errors import Rejected
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.granted import Granted
from ecr_governor.core.origin import News
from ecr_governor.core.record import RepositoryRecord, Trigger
from ecr_governor.core.remedy import operation_of
from ecr_governor.events import parse
from tests.commands import Ended, run
from tests.fakes import ACCOUNT, ENFORCING, REGION, T0, FakeRegistry, FixedPolicy, InMemoryLedger, a_policy, a_repository

ROOT = Path(__file__).parents[3]
EVENTS = ROOT / "events"
POLICY = FixedPolicy(a_policy(ENFORCING))


class Untouchable(InMemoryLedger):
    """A ledger that nobody may write."""

    def write(self, *_: object) -> Any:
        raise AssertionError("written")

    def note_push(self, *_: object) -> None:
        raise AssertionError("written")


def body(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text()


def replayed(name: str, registry: FakeRegistry, ledger: InMemoryLedger | None = None) -> Any:
    notebook: Any = _Notebook(ledger or Untouchable())
    return replay(body(name), ACCOUNT, REGION, registry, notebook, POLICY, T0)


@pytest.mark.parametrize("name", ["create-repository", "create-on-push-service-linked-role", "put-image", "tag-resource", "due-check"])
def test_it_leads_to_what_the_functions_do(name: str) -> None:
    repository = a_repository(parse(body(name), ACCOUNT, REGION).repository, created_at=T0)  # type: ignore[union-attr]
    registry = FakeRegistry(repository)
    found = replayed(name, registry)
    assert registry.writes == []
    real, ledger = FakeRegistry(repository), InMemoryLedger()
    happening = parse(body(name), ACCOUNT, REGION)
    assert happening is not None
    change = reconcile(happening.repository, happening.news, happening.trigger, Services(real, ledger, POLICY), T0)
    assert found.change == change
    assert [operation_of(remedy) for remedy in found.remedies] == [operation_of(remedy) for remedy in real.writes]
    assert found.remedies


def test_a_push_to_a_known_repository_is_only_noted() -> None:
    registry, ledger = FakeRegistry(a_repository(created_at=T0, tags={"owner": "x"})), InMemoryLedger()
    happening = parse(body("put-image"), ACCOUNT, REGION)
    assert happening is not None
    reconcile(happening.repository, happening.news, happening.trigger, Services(registry, ledger, POLICY), T0)
    known = Untouchable()
    known.records_by_name = ledger.records_by_name
    found = replayed("put-image", registry, known)
    assert (found.looked, found.function, found.change) == (False, "image_events", None)


def test_what_was_exempted_in_slack_is_put_right_by_no_event() -> None:
    registry, ledger = FakeRegistry(a_repository(created_at=T0)), InMemoryLedger()
    granted = Granted("1", ("tag-mutability",), "moves with the index", "alice", "U1", date(2027, 1, 31), confirmed_by="bob")
    ledger.records_by_name["payments/api"] = RepositoryRecord("payments/api", version=1, created_at=T0, exemptions=(granted,))
    without, with_it = replayed("tag-resource", registry), replayed("tag-resource", registry, ledger)
    assert {operation_of(each) for each in without.remedies} - {operation_of(each) for each in with_it.remedies} == {
        "PutImageTagMutability"
    }
    assert with_it.remedies


def test_what_is_not_there_leads_to_nothing_and_what_is_gone_to_its_end() -> None:
    assert replayed("create-repository", FakeRegistry()).change is None
    ledger = InMemoryLedger()
    reconcile("payments/api", News(), Trigger("x"), Services(FakeRegistry(a_repository(created_at=T0)), ledger, POLICY), T0)
    known = Untouchable()
    known.records_by_name = ledger.records_by_name
    assert replayed("delete-repository", FakeRegistry(), known).change.gone


def test_what_cannot_be_decided_is_set_aside_and_a_failed_call_is_nothing() -> None:
    with pytest.raises(Rejected, match="names no repository"):
        replayed("nameless", FakeRegistry())
    assert replayed("failed-call", FakeRegistry()) is None


# --- on an inventory ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    facts = {
        "created_at": "2026-11-02T09:14:07+00:00",
        "scan_on_push": False,
        "may_be_cache": False,
        "tags": {},
        "tag_mutability": {"mode": "MUTABLE", "except": []},
        "lifecycle_policy": None,
        "holds_image": True,
    }
    line = {
        "name": "payments/api",
        "account": ACCOUNT,
        "region": REGION,
        "origin": "api",
        "owner": None,
        "findings": [],
        "undetermined": {},
    }
    line |= {"images": 1, "size_bytes": 1, "last_push": None, "last_pull": None, "facts": facts}
    (tmp_path / "inventory.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "policy.yaml").write_text(f"version: 1\n{ENFORCING}")
    return tmp_path / "inventory.jsonl", tmp_path / "policy.yaml"


def on_inventory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], event: object, *more: str
) -> Ended:
    inventory, policy = map(str, files)
    return run(capsys, monkeypatch, "replay", str(event), "--inventory", inventory, "--policy", policy, *more)


def test_a_reason_that_is_long_goes_on_below_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    files[1].write_text(f"version: 1\n{ENFORCING}".replace("[payments, search]", "[search, platform, identity, sandbox]"))
    lines = on_inventory(capsys, monkeypatch, files, EVENTS / "create-repository.json").out.splitlines()

    at = next(index for index, line in enumerate(lines) if "naming: " in line)
    assert lines[at : at + 2] == [
        "  violated  naming: team 'payments' must be one of search, platform, identity,",
        "            sandbox; the convention is {team}/{service}",
    ]


def test_every_event_can_be_replayed_on_an_inventory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    for path in sorted(EVENTS.glob("*.json")):
        ended = on_inventory(capsys, monkeypatch, files, path, "--output", "json")
        assert ended.code in {0, 1}, path.name
        told = json.loads(ended.out)
        assert told is None or "rejected" in told or told["function"], path.name


def test_an_inventory_keeps_its_origin_and_does_not_know_the_first_pusher(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    told = json.loads(on_inventory(capsys, monkeypatch, files, EVENTS / "put-image.json", "--output", "json").out)
    assert told["origin"] == "api"
    assert told["remedies"] == ["put the lifecycle policy of the namespace", "set tag mutability from MUTABLE to IMMUTABLE"]
    assert {each["rule"]: each["verdict"] for each in told["judgements"]}["required-tags"] == "violated"
    table = on_inventory(capsys, monkeypatch, files, EVENTS / "put-image.json")
    assert table.code == 1
    assert "Nothing was written." in table.out
    assert max(map(len, table.out.splitlines())) <= 80


def described(inventory: Path, **changes: Any) -> None:
    """Change what the inventory's only line says, of the facts where it has them."""
    line = json.loads(inventory.read_text())
    line |= {key: value for key, value in changes.items() if key in line}
    line["facts"] |= {key: value for key, value in changes.items() if key in line["facts"]}
    inventory.write_text(json.dumps(line) + "\n")


@pytest.mark.parametrize("event", ["put-image", "pull-through-cache-action", "create-on-push-service-linked-role"])
def test_no_event_takes_an_origin_from_what_the_inventory_knows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], event: str
) -> None:
    content = json.loads((EVENTS / f"{event}.json").read_text())
    named = parse(json.dumps(content), ACCOUNT, REGION)
    assert named is not None
    described(files[0], name=named.repository, origin="replication", holds_image=False, may_be_cache=True)
    told = json.loads(on_inventory(capsys, monkeypatch, files, EVENTS / f"{event}.json", "--output", "json").out)
    assert told["origin"] == "replication"


@pytest.mark.parametrize(("may_be_cache", "verdict"), [(True, "not known"), (False, "violated")])
def test_whether_it_may_be_a_cache_is_what_the_inventory_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], *, may_be_cache: bool, verdict: str
) -> None:
    described(files[0], origin="unknown", may_be_cache=may_be_cache)
    files[1].write_text('version: 1\nnaming: {convention: "{team}/{service}", segments: {team: [search]}}\n')
    told = json.loads(on_inventory(capsys, monkeypatch, files, EVENTS / "put-image.json", "--output", "json").out)
    assert (told["origin"], {each["rule"]: each["verdict"] for each in told["judgements"]}["naming"]) == ("unknown", verdict)


def test_a_repository_that_the_inventory_lacks_is_said_to_be_lacking_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    described(files[0], name="search/other")
    told = json.loads(on_inventory(capsys, monkeypatch, files, EVENTS / "put-image.json", "--output", "json").out)
    assert told["leads_to"] == "there is no such repository, and the inventory knows none"


def test_what_can_be_mended_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], tmp_path: Path
) -> None:
    assert "nowhere.json cannot be read" in on_inventory(capsys, monkeypatch, files, "nowhere.json").err
    inventory, policy = files
    alone = run(capsys, monkeypatch, "replay", str(EVENTS / "put-image.json"), "--inventory", str(inventory))
    assert (alone.code, "not known what to judge by" in alone.err) == (2, True)
    monkeypatch.chdir(policy.parent)
    assert run(capsys, monkeypatch, "replay", str(EVENTS / "put-image.json"), "--inventory", str(inventory)).code == 1
    other = replace_region(inventory, tmp_path / "two.jsonl")
    assert "more than one registry" in on_inventory(capsys, monkeypatch, (other, policy), EVENTS / "put-image.json").err
    for text in ("version: 1", "[]", "", "\x00"):
        (tmp_path / "none.json").write_text(text)
        none = on_inventory(capsys, monkeypatch, files, tmp_path / "none.json")
        assert (none.code, none.out, none.err.count("\n"), "none.json is no event" in none.err) == (2, "", 3, True)
    rejected = on_inventory(capsys, monkeypatch, files, EVENTS / "forged-account.json")
    assert (rejected.code, "set aside for a person" in rejected.out) == (1, True)


@pytest.mark.parametrize(
    ("event", "first"),
    [
        ("release-asked", "Release Asked of payments/api by arn:aws:iam::123456789012:user/alice, 2026-11-26 09:00"),
        ("refused-pull", "BatchGetImage of payments/api by alice, 2026-11-02 09:14"),
        ("refused-pull-without-parameters", "BatchGetImage of payments/api by alice, 2026-11-02 09:14"),
    ],
)
def test_what_another_function_takes_is_said_to_be_its(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], event: str, first: str
) -> None:
    ended = on_inventory(capsys, monkeypatch, files, EVENTS / f"{event}.json")
    words = "the repository is given back, if it is retiring and may be; replay does not play that"
    assert ended.code == 0
    assert " ".join(ended.out.split()) == f"{first} releases: {words} Nothing was written."
    data = json.loads(on_inventory(capsys, monkeypatch, files, EVENTS / f"{event}.json", "--output", "json").out)
    assert (data["function"], data["leads_to"]) == ("releases", words)


def test_the_refusals_that_releases_takes_are_those_of_its_rule() -> None:
    template = (ROOT / "template.yaml").read_text()
    rule = template[: template.index("errorCode: [AccessDenied, AccessDeniedException]")].rpartition("eventName:")[2]
    assert {word for word in rule.split() if word != "-"} == REFUSED


def replace_region(inventory: Path, into: Path) -> Path:
    text = inventory.read_text()
    into.write_text(text + text.replace(REGION, "us-east-1"))
    return into


def test_the_imagined_world_is_like_the_real_one_after_each_remedy() -> None:
    """A remedy that is only imagined leads to the same findings as one that is carried out."""
    repository = a_repository(created_at=T0)
    found = replayed("create-repository", FakeRegistry(repository))
    real = FakeRegistry(repository)
    for remedy in found.remedies:
        real.apply(repository, remedy)
    assert {finding.rule for finding in found.change.resolved} == {"lifecycle-policy", "tag-mutability"}
    assert replace(real.repositories["payments/api"]) != repository
