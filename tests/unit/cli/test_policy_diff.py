"""`ecr-governor policy diff` says beforehand what an audit by the new policy will say, or that it does not know."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from itertools import product
from pathlib import Path

import pytest

from cli.policy.comparison import NOBODY, Comparison, compare, said_of
from cli.policy.inventory import Line, read
from cli.policy.routing import NOT_KNOWN, where
from cli.trouble import Trouble
from ecr_governor.app.audit import Progress, audit
from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.facts_as_data import NOT_KEPT, facts_as_data, repository_from_data
from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import Repository, Unreadable, Usage
from ecr_governor.core.standing import standing_of, to_line
from ecr_governor.core.verdict import Violation
from ecr_governor.rendering.json_lines import JsonLinesWriter, as_json, repository_as_data
from tests.commands import Ended, run
from tests.fakes import ACCOUNT, REGION, a_policy, a_repository
from tests.registries import DAY, NOW, POLICIES, a_registry

Command = Callable[..., Ended]


@cache
def policy_of(name: str) -> Policy:
    return a_policy(POLICIES[name])


@cache
def audited(name: str, *, facts: bool = False) -> tuple[AuditedRepository, ...]:
    policy = policy_of(name)
    with a_registry().inventory(NOW, pull_metrics=policy.limits.pull_metrics) as inventory:
        return tuple(audit(inventory, policy, NOW, Progress(), keep_facts=facts))


def written(path: Path, policy: Policy, found: Iterable[AuditedRepository]) -> Path:
    stream = StringIO()
    writer = JsonLinesWriter(stream)
    writer.begin(ACCOUNT, REGION, policy.hash)
    listed = list(found)
    for each in listed:
        writer.repository(each)
    writer.end(
        AuditSummary(
            ACCOUNT, REGION, policy.hash, complete=True, incomplete_because=(), repositories=len(listed), violating=0, calls={}, seconds=0
        )
    )
    path.write_text(stream.getvalue())
    return path


@cache
def now_open(name: str) -> dict[str, set[str]]:
    return {each.name: {one.rule for one in each.findings if one.state == "open"} for each in audited(name)}


@pytest.mark.parametrize(("old", "new"), product(POLICIES, POLICIES))
@pytest.mark.parametrize("facts", [True, False], ids=["with facts", "without"])
def test_what_is_said_beforehand_is_what_an_audit_finds(tmp_path: Path, old: str, new: str, facts: bool) -> None:
    before, after = policy_of(old), policy_of(new)
    # With facts it is made by the new policy, which says what must be known; without, it is what lies there anyway.
    by = new if facts else old
    inventory = written(tmp_path / "inventory.jsonl", policy_of(by), audited(by, facts=facts))

    comparison = compare(read(inventory), before, after, NOW)

    changed = {each.name: each for each in comparison.changed}
    for name, is_open in now_open(new).items():
        was_open = now_open(old)[name]
        each = changed.get(name)
        opens, closes, unknown = (each.opens.keys(), each.closes.keys(), each.unknown) if each else (set(), set(), frozenset())
        if facts and old == new:
            assert not unknown, name
        assert opens - was_open <= is_open, name
        assert (is_open - was_open) - unknown <= opens, name
        assert closes <= was_open, name
        assert not closes & is_open, name
    assert comparison.repositories == len(now_open(new))


def test_a_policy_compared_with_itself_changes_nothing(tmp_path: Path) -> None:
    for name in POLICIES:
        policy = policy_of(name)
        inventory = written(tmp_path / f"{name}.jsonl", policy, audited(name))

        assert compare(read(inventory), policy, policy, NOW).changed == [], name


@pytest.mark.parametrize("policy", POLICIES)
def test_facts_that_were_kept_are_judged_as_before(policy: str) -> None:
    made = policy_of(policy)
    for each in audited(policy, facts=True):
        data = json.loads(as_json(dict(each.facts or {})))
        again = repository_from_data(each.name, ACCOUNT, REGION, Origin(each.origin), data)

        found = {judgement.rule: type(judgement.verdict) for judgement in evaluate(again, made, NOW).judgements}
        states = {one.rule for one in each.findings}
        assert {rule for rule, verdict in found.items() if verdict.__name__ == "Violation"} == states
        assert {rule for rule, verdict in found.items() if verdict.__name__ == "Undetermined"} == set(each.undetermined)
        assert facts_as_data(again) == data


# --- a small registry, told in full ---------------------------------------------------------------------------------------------------

OLD = """
naming: {convention: "{team}/{service}", segments: {team: [payments, search]}}
namespaces: {ROOT: {tag_mutability: IMMUTABLE, unused: {after: 300d}}}
rules: {repository-policy: off}
"""
NEW = """
mode: enforce
naming: {convention: "{team}/{service}", segments: {team: [payments, search, "pl|at"]}}
namespaces: {ROOT: {required_tags: {owner: {}, stage: {set: dev}}, retirement: {after_days: 100, then: archive}}}
rules: {repository-policy: off, required-tags: {severity: medium}}
notifications: {slack: {min_severity: medium}}
""".replace("pl|at", "platform")


def small() -> list[Repository]:
    old = {"created_at": NOW - 400 * DAY}
    return [
        a_repository("payments/api", tags={"owner": "ann|e", "stage": "prod"}, usage=Usage(NOW - DAY, None, 1, 1), **old),
        a_repository("platform/base", tags={"owner": "<bob>"}, usage=Usage(NOW - DAY, None, 1, 1), **old),
        a_repository("search/old", tags={"owner": "cleo", "stage": "dev"}, usage=Usage(NOW - 200 * DAY, None, 1, 1), **old),
    ]


def lines(repositories: Iterable[Repository], policy: Policy, *, facts: bool = True) -> str:
    rows = []
    for each in repositories:
        owner = None if isinstance(each.tags, Unreadable) else each.tags.get("owner")
        judged = AuditedRepository(
            name=each.name,
            origin=each.provenance.origin.value,
            owner=owner,
            findings=(),
            undetermined={},
            images=1,
            size_bytes=1,
            last_push=None,
            last_pull=None,
            unused=False,
        )
        more = {"facts": facts_as_data(each)} if facts else {}
        rows.append(as_json({"account": ACCOUNT, "region": REGION, **repository_as_data(judged), **more}))
    rows.append(as_json({"summary": {"account": ACCOUNT, "region": REGION, "policy_hash": policy.hash, "complete": True}}))
    return "\n".join(rows) + "\n"


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(f"version: 1\n{OLD}")
    (tmp_path / "new.yaml").write_text(f"version: 1\n{NEW}")

    def ran(inventory: str, *options: str) -> Ended:
        (tmp_path / "inventory.jsonl").write_text(inventory)
        return run(
            capsys,
            monkeypatch,
            "policy",
            "diff",
            "old.yaml",
            "new.yaml",
            "--against",
            "inventory.jsonl",
            "--on",
            f"{NOW:%Y-%m-%d}",
            *options,
        )

    return ran


INVENTORY = lines(small(), a_policy(OLD))


def test_people_are_shown_who_becomes_violating_who_is_freed_and_who_is_told(diff: Command) -> None:
    ended = diff(INVENTORY)

    assert ended.out.partition(": ")[2] == (
        "of 3 repositories, 2 would be newly violating, 3 would be freed of a finding, 1 would be put right, 1 would begin to be retired\n"
        "\n"
        "Newly violating\n"
        "  platform/base  (<bob>)\n"
        "    medium, required-tags: has no tag stage\n"
        "  search/old  (cleo)\n"
        "    low, unused: nothing was pushed or pulled since 2026-05-04\n"
        "\n"
        "Freed\n"
        "  payments/api  (ann|e)\n"
        "    tag-mutability: its tags are MUTABLE, expected is IMMUTABLE\n"
        "  platform/base  (<bob>)\n"
        "    naming: team 'platform' must be one of payments, search; the convention is {team}/{service}\n"
        "    tag-mutability: its tags are MUTABLE, expected is IMMUTABLE\n"
        "  search/old  (cleo)\n"
        "    tag-mutability: its tags are MUTABLE, expected is IMMUTABLE\n"
        "\n"
        "Put right\n"
        "  platform/base  (<bob>)\n"
        "    set the tags stage=dev\n"
        "\n"
        "Begin to be retired\n"
        "  search/old  (cleo)\n"
        "    up to archive\n"
        "\n"
        "Owners who would be told\n"
        "  <bob>: 1 repository\n"
        "  cleo: 1 repository\n"
    )
    assert ended.code == 0


def test_markdown_for_a_pull_request_shows_foreign_text_as_text(diff: Command) -> None:
    text = diff(INVENTORY, "--output", "markdown", "--max-new", "5").out

    assert "**Within the limit of 5.**" in text
    assert "| required-tags | 1 | 0 |\n" in text
    assert "<details><summary>Newly violating: 2</summary>" in text
    assert "- **platform/base** (&lt;bob&gt;): medium, required-tags: has no tag stage\n" in text
    assert "ann&#124;e" in text
    assert "<bob>" not in text
    assert "**Owners who would be told:** &lt;bob&gt; (1), cleo (1)\n" in text


def test_more_than_may_be_ends_with_1(diff: Command) -> None:
    over, within = diff(INVENTORY, "--max-new", "1"), diff(INVENTORY, "--max-new", "2")

    assert (over.code, over.err) == (1, "2 repositories would be newly violating, --max-new is 1\n")
    assert within.code == 0
    assert json.loads(diff(INVENTORY, "--max-new", "1", "--output", "json").out)["over"] is True
    assert "**More than the 1 that may be.**" in diff(INVENTORY, "--max-new", "1", "--output", "markdown").out
    assert diff(INVENTORY, "--max-new", "-1").code == 2


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("", "it is empty"),
        (INVENTORY[: INVENTORY.rstrip().rindex("\n") + 1], "its summary, the last line, is missing"),
        (INVENTORY.replace('"complete": true', '"complete": false'), "the audit that made it was not complete"),
    ],
    ids=["empty", "cut short", "incomplete"],
)
def test_no_limit_can_rest_on_what_may_be_a_part(diff: Command, part: str, why: str) -> None:
    assert part != INVENTORY
    ended = diff(part, "--max-new", "5")
    assert (ended.code, ended.err) == (3, f"inventory.jsonl may lack repositories: {why}\n")
    assert diff(part).code == 0


def test_programs_get_every_repository(diff: Command) -> None:
    data = json.loads(diff(INVENTORY, "--output", "json").out)

    assert {key: data[key] for key in ("repositories", "newly_violating", "freed", "put_right", "begin_to_retire", "unknown")} == {
        "repositories": 3, "newly_violating": 2, "freed": 3, "put_right": 1, "begin_to_retire": 1, "unknown": 0,
    }  # fmt: skip
    assert data["messages"] == {"<bob>": 1, "cleo": 1}
    assert [each["name"] for each in data["changed"]] == ["payments/api", "platform/base", "search/old"]
    assert data["changed"][1]["opens"] == [{"rule": "required-tags", "severity": "medium", "reason": "has no tag stage"}]
    assert data["changed"][2]["retires"] == "archive"


def test_what_a_namespace_says_of_a_rule_counts_there(diff: Command, tmp_path: Path) -> None:
    rules = "payments: {rules: {tag-mutability: {mode: enforce, severity: critical}}}, search: {rules: {unused: off}}"
    (tmp_path / "new.yaml").write_text(
        f"version: 1\nmode: enforce\n{OLD.replace('unused: {after: 300d}}', f'unused: {{after: 90d}}}}, {rules}')}"
    )
    (tmp_path / "old.yaml").write_text("version: 1\nrules: {repository-policy: off}\n")
    changed = {each["name"]: each for each in json.loads(diff(INVENTORY, "--output", "json").out)["changed"]}

    assert [each["severity"] for each in changed["payments/api"]["opens"]] == ["critical"]
    assert {name: [one["rule"] for one in each["opens"]] for name, each in changed.items()} == {
        "payments/api": ["tag-mutability"],
        "platform/base": ["naming", "tag-mutability"],
        "search/old": ["tag-mutability"],
    }


def test_what_the_inventory_does_not_tell_is_not_known_and_no_limit_can_rest_on_it(diff: Command) -> None:
    plain = lines(small(), a_policy(OLD), facts=False)
    unsure = diff(plain, "--max-new", "5")

    assert unsure.code == 3
    assert unsure.err == (
        "of 3 repositories the inventory does not say enough: make it with ecr-governor audit --policy new.yaml --facts --output jsonl\n"
    )
    assert "Not known\n  payments/api  (ann|e)\n    required-tags" in unsure.out
    assert diff(plain).code == 0
    assert (
        "**More facts are needed to tell whether that is within the limit.**" in diff(plain, "--max-new", "5", "--output", "markdown").out
    )


def test_a_sweeps_lines_are_an_inventory_too(tmp_path: Path) -> None:
    old, new = a_policy(OLD), a_policy(NEW)
    path = tmp_path / "sweep.jsonl"
    path.write_bytes(b"\n".join(to_line(standing_of(each, evaluate(each, old, NOW), old, NOW)) for each in small()))

    found = compare(read(path), old, new, NOW)

    by_name = {each.name: each for each in found.changed}
    assert by_name["search/old"].opens.keys() == {"unused"}
    assert by_name["search/old"].retires == "archive"
    assert by_name["platform/base"].closes.keys() == {"naming", "tag-mutability"}
    assert {name: each.unknown for name, each in by_name.items()} == dict.fromkeys(by_name, frozenset({"required-tags"}))


def test_repositories_of_several_regions_are_told_apart(diff: Command) -> None:
    both = INVENTORY + INVENTORY.replace(REGION, "us-east-1")

    assert f"platform/base ({ACCOUNT}, us-east-1)" in diff(both).out
    assert f"platform/base ({ACCOUNT}, {REGION})" in diff(both).out


def test_an_exemption_that_ends_and_a_policy_that_is_switched_on_are_changes() -> None:
    text = OLD + "exemptions: [{match: '*', rules: '*', reason: not yet in order, owner: me, expires: 2026-12-01}]\n"
    exempt, off = load(f"version: 1\n{text}", "exempt"), load(f"version: 1\nmode: off\n{OLD}", "off")
    wanted = a_policy(OLD)

    def opened(old: Policy, new: Policy) -> Comparison:
        return compare(_lines_of(small()), old, new, NOW)

    assert len(opened(exempt, wanted).violating) == len(opened(off, wanted).violating) == 3
    assert len(opened(wanted, exempt).freed) == len(opened(wanted, off).freed) == 3


def test_what_is_empty_or_wrongly_named_is_retired_where_the_policy_has_days_for_it() -> None:
    def retiring(terms: str, *repositories: Repository) -> dict[str, str]:
        text = f'naming: {{convention: "{{team}}/{{service}}"}}\nnamespaces: {{ROOT: {{retirement: {{{terms}}}}}}}\nmode: enforce'
        found = compare(_lines_of(list(repositories)), a_policy("mode: enforce"), a_policy(text), NOW)
        return {each.name: str(each.retires.value) for each in found.retiring if each.retires}

    empty = a_repository("search/new", created_at=NOW - DAY)
    wrong = a_repository("legacy", created_at=NOW - DAY, holds_image=True, usage=Usage(NOW - DAY, None, 1, 1))
    assert retiring("then: quarantine", empty, wrong) == {}
    assert retiring("then: quarantine, empty_after_days: 20", empty, wrong) == {"search/new": "quarantine"}
    assert retiring("then: delete, blank_after_days: 20", empty, wrong) == {"search/new": "delete"}
    assert retiring("then: mark, misnamed_after_days: 20", empty, wrong) == {"legacy": "mark"}


RETIRING = "namespaces: {ROOT: {retirement: {then: quarantine, empty_after_days: 20}}}\n"
GOES = f"mode: enforce\n{RETIRING}"
WITHHELD = {
    "mode": f"mode: audit\n{RETIRING}",
    "off": f"mode: off\n{RETIRING}",
    "stop": f"{GOES}retirement: {{stop: true}}\n",
    "rule audits": f"{GOES}rules: {{unused: audit}}\n",
    "rule off": f"{GOES}rules: {{unused: off}}\n",
    "rule of a namespace": GOES.replace("}}}", "}, rules: {unused: audit}}}"),
    "exempt": f"{GOES}exemptions: [{{match: '*', rules: unused, reason: kept for the audit, owner: me, expires: 2026-12-31}}]\n",
    "nobody is told": f"{GOES}notifications: {{slack: {{enabled: false}}}}\n",
}


@pytest.mark.parametrize("by", WITHHELD)
def test_a_retirement_begins_and_ends_with_what_withholds_it(by: str) -> None:
    used = a_repository("search/api", created_at=NOW - 400 * DAY, holds_image=True, usage=Usage(NOW - DAY, None, 1, 1))
    old = a_repository("search/old", created_at=NOW - 400 * DAY, holds_image=True, usage=Usage(NOW - 200 * DAY, None, 1, 1))
    listed = [used, old, a_repository("search/empty", created_at=NOW - DAY)]
    withheld, goes = a_policy(WITHHELD[by]), a_policy(GOES)

    lifted, put = (compare(_lines_of(listed), *both, NOW) for both in ((withheld, goes), (goes, withheld)))
    assert [each.name for each in lifted.retiring] == [each.name for each in put.changed if each.spared] == ["search/old", "search/empty"]
    assert {each.name for each in lifted.changed if each.told} >= {"search/old", "search/empty"}
    assert put.retiring == [each for each in lifted.changed if each.spared] == []
    assert not any(each.retires or each.spared for each in compare(_lines_of(listed), withheld, withheld, NOW).changed)


def test_what_withholds_it_ends_a_retirement_whether_or_not_its_use_is_known(tmp_path: Path) -> None:
    old = a_policy(f"{GOES}")
    stopped = a_policy(GOES.replace("empty_after_days: 20", "after_days: 300") + "retirement: {stop: true}\n")
    path = tmp_path / "sweep.jsonl"
    path.write_bytes(b"\n".join(to_line(standing_of(each, evaluate(each, old, NOW), old, NOW)) for each in small()))
    uncounted = [replace(each, counted=False, repository=replace(each.repository, usage=NOT_KEPT)) for each in read(path)]

    found = compare(uncounted, old, stopped, NOW)

    assert [(each.name, "unused" in each.unknown) for each in found.changed if each.spared] == [("search/old", True)]


def test_what_was_recorded_as_undetermined_is_no_answer() -> None:
    policy = a_policy("namespaces: {ROOT: {scan_frequency: MANUAL}}")
    bare = replace(a_repository(), scan_frequency=NOT_KEPT, repository_policy=None)

    def unknown(undetermined: frozenset[str]) -> frozenset[str]:
        return said_of(Line(bare, None, {}, undetermined, policy.hash, counted=True), policy, (policy,), NOW).unknown

    assert unknown(frozenset()) == frozenset()
    assert unknown(frozenset({"scanning"})) == {"scanning"}


def test_facts_are_kept_in_json_lines_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run(capsys, monkeypatch, "audit", "--facts")

    assert ended == Ended(
        2, "", "error: facts are kept in JSON Lines only\n  why: --output is table\n  do:  --facts --output jsonl\n"
    )  # fmt: skip


def _lines_of(repositories: list[Repository]) -> Iterable[Line]:
    return [Line(each, None, {}, frozenset(), "", counted=True) for each in repositories]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n\nnot json\n", ":3 is no line of an inventory\n  why: it is no JSON: Expecting value at column 1\n"),
        ("[]\n", ":1 is no line of an inventory"),
        ('{"name": "a/b"}\n', ":1 is no line of an inventory"),
        ('{"summary": {}}\n', ":1 is no line of an inventory"),
        (INVENTORY.splitlines()[0] + "\n" + INVENTORY.splitlines()[0] + "\n", ":2 is no line of an inventory"),
        (INVENTORY.replace("payments/api", "payments/../api"), ":1 is no line of an inventory"),
        (INVENTORY.replace('"AES256"', '"AES1"', 1), ":1 is no line of an inventory"),
    ],
)
def test_what_is_no_inventory_is_told_with_its_line(diff: Command, text: str, told: str) -> None:
    ended = diff(text)

    assert ended.code == 2
    assert told in ended.err
    assert "ecr-governor audit --facts --output jsonl" in ended.err


def test_a_missing_inventory_is_told(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="cannot be read"):
        list(read(tmp_path / "none.jsonl"))


# --- where messages go ----------------------------------------------------------------------------------------------------------------

ROUTES = """
    channel: C0CENTRAL01
    routes:
      - {owner: "<bob>", channel: C0PLATFORM1, mention: S0PLATFORM1}
      - {tags: {stage: dev}, channel: C0DEVELOP01}
      - {namespace: search, actor: "ci-*", channel: C0SEARCH001}
    unowned: {channel: C0UNOWNED01}
"""


def route(diff: Command, tmp_path: Path, new: str, old: str = "") -> Command:
    (tmp_path / "old.yaml").write_text(f"version: 1\n{OLD}notifications:\n  slack: {old or '{}'}\n")
    (tmp_path / "new.yaml").write_text("version: 1\n" + NEW.replace("{slack: {min_severity: medium}}", f"\n  slack: {new}"))
    return diff


def test_who_is_told_is_told_with_the_channel_by_both_policies(diff: Command, tmp_path: Path) -> None:
    ended = route(diff, tmp_path, ROUTES, "{channel: C0OLDONE001}")(INVENTORY)

    assert ended.out.partition("\n\nOwners")[2] == (
        " who would be told\n"
        "  <bob>: 1 repository, in C0PLATFORM1, mentioning S0PLATFORM1; by the old policy in C0OLDONE001\n"
        "  cleo: 1 repository, in C0DEVELOP01; by the old policy in C0OLDONE001\n"
        "\n"
        "Messages that would go elsewhere\n"
        "  C0OLDONE001 → C0CENTRAL01: 1 repository, for example payments/api\n"
        "  C0OLDONE001 → C0DEVELOP01: 1 repository, for example search/old\n"
        "  C0OLDONE001 → C0PLATFORM1, mentioning S0PLATFORM1: 1 repository, for example platform/base\n"
    )
    assert "3 would have their messages elsewhere" in ended.out.splitlines()[0]
    data = json.loads(diff(INVENTORY, "--output", "json").out)
    assert data["messages"] == {"<bob>": 1, "cleo": 1}
    platform = {"channel": "C0PLATFORM1", "mention": "S0PLATFORM1"}
    assert data["told"][0] == {"owner": "<bob>", "repositories": 1, "old": {"channel": "C0OLDONE001", "mention": ""}, "new": platform}
    assert [(each["name"], each["told"], each["told_in"]) for each in data["changed"]][:2] == [
        ("payments/api", False, None),
        ("platform/base", True, platform),
    ]
    assert "&lt;bob&gt; (1, in C0PLATFORM1, mentioning S0PLATFORM1; by the old" in diff(INVENTORY, "--output", "markdown").out


def test_a_policy_that_only_routes_otherwise_says_so(diff: Command, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("version: 1\nnotifications: {slack: {enabled: false}}\n")
    (tmp_path / "new.yaml").write_text("version: 1\n")
    assert diff(INVENTORY).out.partition(": ")[2] == (
        "of 3 repositories, 3 would have their messages elsewhere\n"
        "\n"
        "Messages that would go elsewhere\n"
        "  nowhere → the secret's channel: 3 repositories, for example payments/api, platform/base, search/old\n"
    )


def test_where_nobody_knows_who_pushed_or_who_owns_it_the_channel_is_not_known(diff: Command, tmp_path: Path) -> None:
    anybody = ROUTES.replace("namespace: search, ", "").replace("stage: dev", "stage: none")
    told = route(diff, tmp_path, anybody)(INVENTORY).out
    assert "  cleo: 1 repository, where is not known; by the old policy in the secret's channel\n" in told
    assert "  not known for 2 repositories: no inventory tells who pushed, and one without --facts no tags\n" in told

    without = lines(small(), a_policy(OLD), facts=False)
    assert json.loads(route(diff, tmp_path, ROUTES)(without, "--output", "json").out)["messages_unknown"] == 2
    same = route(diff, tmp_path, ROUTES, ROUTES)(without, "--output", "json")
    assert json.loads(same.out)["messages_unknown"] == 0


BY_TEAM = "owner_tag: team\nnamespaces: {ROOT: {required_tags: {stage: {}}}}\nnotifications: {slack: {min_severity: low}}\n"


@pytest.mark.parametrize(
    ("facts", "made_by", "told"), [(True, "", "red"), (False, "old", NOBODY), (False, "new", "ann"), (False, "", NOBODY)]
)
def test_who_is_told_is_who_owns_it_by_the_new_policy(tmp_path: Path, facts: bool, made_by: str, told: str) -> None:
    """Without its tags the inventory tells the owner by the policy that it was made by, or else by the old one."""
    old, new = a_policy(BY_TEAM.replace("owner_tag: team", "owner_tag: owner").replace("stage", "owner")), a_policy(BY_TEAM)
    made = {"old": old, "new": new}.get(made_by, a_policy(OLD))
    listed = [a_repository("search/api", tags={"owner": "ann", "team": "red"}), a_repository("search/old", tags={"owner": "ann"})]
    path = tmp_path / "inventory.jsonl"
    path.write_text(lines(listed, made, facts=facts))
    read_in = [replace(each, recorded={"required-tags": {"reason": "has no tag stage"}} if made_by == "new" else {}) for each in read(path)]

    found = compare(read_in, old, new, NOW)

    if facts:
        assert found.messages == {told: 1, NOBODY: 1}
        assert [each.owner for each in found.changed] == [told, NOBODY]
    else:
        assert {each.owner for each in found.changed} == {told}


@pytest.mark.parametrize("owner", ["ann", "", None])
@pytest.mark.parametrize("tags", [{}, {"stage": "dev"}, {"stage": "prod"}])
@pytest.mark.parametrize("actor", ["ci-1", "alice"])
@pytest.mark.parametrize("name", ["search/api", "payments/api"])
def test_what_is_told_of_a_channel_is_what_the_deployment_does(owner: str | None, tags: dict[str, str], actor: str, name: str) -> None:
    policy = a_policy(f"notifications:\n  slack:{ROUTES.replace('<bob>', 'ann')}")
    tags = tags | ({} if owner is None else {"owner": owner})
    place = policy.notifications.slack.place_of(name, owner, tags, (actor,))

    for known in (tags, Unreadable("not read")):
        line = Line(a_repository(name, tags=known), owner or None, {}, frozenset(), "", counted=False)
        said = where(line, policy, "owner")
        assert said in (place, NOT_KNOWN)
        assert (said == NOT_KNOWN) == (
            (name == "search/api" and owner != "ann" and tags.get("stage") != "dev") if known is tags else owner != "ann"
        )


EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def test_the_example_of_an_inventory_is_what_an_audit_by_the_example_of_a_policy_finds() -> None:
    policy, now = load((EXAMPLES / "policy.yaml").read_text(), "policy.yaml"), datetime(2026, 11, 24, tzinfo=UTC)
    lines = list(read(EXAMPLES / "inventory.jsonl"))

    assert {line.judged_by for line in lines} == {policy.hash}
    for line in lines:
        found = evaluate(line.repository, policy, now).judgements
        violations = {each.rule: (each.verdict.reason, bool(each.exemption)) for each in found if isinstance(each.verdict, Violation)}
        assert violations == {rule: (told["reason"], told["state"] == "exempt") for rule, told in line.recorded.items()}
    assert {rule for line in lines for rule in line.recorded} >= {"naming", "unused", "required-tags"}


def test_the_example_of_an_inventory_can_be_tried(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "new.yaml").write_text((EXAMPLES / "policy.yaml").read_text().replace("[payments, search, platform]", "[search]"))
    against = ("--against", str(EXAMPLES / "inventory.jsonl"), "--on", "2026-11-24", "--output", "json")
    told = json.loads(run(capsys, monkeypatch, "policy", "diff", str(EXAMPLES / "policy.yaml"), str(tmp_path / "new.yaml"), *against).out)

    assert (told["repositories"], told["newly_violating"], told["unknown"]) == (5, 1, 0)
