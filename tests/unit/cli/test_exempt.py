"""`ecr-governor exempt`: what is asked for is written, and nothing else; what could not be meant is refused, and the file stays."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.policy import editing, exempting, files
from cli.policy.editing import composed, with_end, with_exemption
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Exemption
from tests.commands import Ended, run

Command = Callable[..., Ended]

NAMING = """\
# Who may be called what.
version: 1   # the only one
naming:
    convention: "{team}/{service}"
    segments: {team:   [payments, search], service: {regex: '[a-z][a-z0-9-]+'}}
"""
ONE = {"match": "payments/old_*", "rules": ["naming"], "reason": "moves with the cluster", "owner": "payments", "expires": "2097-01-31"}
ADDED = Exemption.model_validate({**ONE, "match": "search/x_*", "reason": 'a "reason": with # and , in it', "owner": "team: search"})

SHAPES = {
    "none": NAMING,
    "no line break at the end": NAMING.rstrip("\n"),
    "empty list": f"{NAMING}exemptions: []\n",
    "empty list with a comment": f"{NAMING}exemptions: []  # none yet\n\nlimits: {{calls_per_second: 5}}\n",
    "empty list at the very end": f"{NAMING}exemptions: []",
    "block": f"""{NAMING}exemptions:
  # the cluster
  - match: "payments/old_*"   # all of them
    rules: [naming]
    reason: moves with the cluster
    owner: payments
    expires: 2097-01-31       # the end
# what follows
owner_tag: team
""",
    "block without indent": f"""{NAMING}exemptions:
- match: "payments/old_*"
  rules:
  - naming
  expires: 2097-01-31
  owner: payments
  reason: >
    moves with the cluster,
    some day
owner_tag: team
""",
    "flow entries": f"{NAMING}exemptions:\n      - {json.dumps(ONE)}   # one\n\n# the end\n",
    "flow list": f"{NAMING}exemptions: [{json.dumps(ONE)}]\nowner_tag: team\n",
    "flow list over lines": f"{NAMING}exemptions: [\n  {json.dumps(ONE)},  # one\n]\n",
    "line breaks of Windows": f"{NAMING}exemptions:\n  - {json.dumps(ONE)}\nowner_tag: team\n".replace("\n", "\r\n"),
    "last line is an entry": f"{NAMING}exemptions:\n  - {json.dumps(ONE)}",
}


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(SHAPES["block"])
    return lambda *arguments: run(capsys, monkeypatch, "exempt", *arguments)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_else_stays_as_it_stands(shape: str) -> None:
    text = SHAPES[shape]
    changed = with_exemption(text, ADDED)

    before, after = load(text, "old"), load(changed, "new")
    assert after.exemptions == (*before.exemptions, ADDED)
    assert after.hash == before.model_copy(update={"exemptions": after.exemptions}).hash
    lines = changed.splitlines(keepends=True)
    kept = [line.rstrip("\r\n") for line in text.splitlines()]
    # Every line that was there is there, in its order, but for the one that a flow list stands in.
    touched = {"empty list": 1, "empty list with a comment": 1, "empty list at the very end": 1, "flow list": 1, "flow list over lines": 1}
    left = iter(line.rstrip("\r\n") for line in lines)
    assert sum(line not in left for line in kept[: len(NAMING.splitlines())]) == 0
    assert len([line for line in kept if line not in {each.rstrip("\r\n") for each in lines}]) == touched.get(shape, 0)
    if "\r\n" in text:
        assert all(line.endswith("\r\n") for line in lines)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if load(SHAPES[shape], shape).exemptions])
def test_another_end_changes_the_day_alone(shape: str) -> None:
    day = datetime(2026, 3, 4, tzinfo=UTC).date()

    assert with_end(SHAPES[shape], 0, day) in {
        SHAPES[shape].replace("2097-01-31", "2026-03-04"),
        SHAPES[shape].replace('"2097-01-31"', "2026-03-04"),
    }


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    reason=st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFD), min_size=10, max_size=60).filter(
        lambda text: len(text.strip()) >= 10
    ),
    owner=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], max_codepoint=0xFFFD), min_size=1, max_size=20).filter(str.strip),
)
def test_whatever_the_reason_is_it_stands_there_as_it_was_given(shape: str, reason: str, owner: str) -> None:
    wanted = ADDED.model_copy(update={"reason": reason, "owner": owner})

    assert load(with_exemption(SHAPES[shape], wanted), "new").exemptions[-1] == wanted


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_places_count_characters_whatever_the_text_is_made_of(newline: str) -> None:
    lines = [
        "# äß 😀", "é😀: 1 # ü 😀", "exemptions: # 😀", '- match: "a\\u263a 😀"', "  reason: |", "    x 😀", "", "  # later",
        "- ß: >-", "    folded 😀", "    text", "- &x {ö: [ü, 'it''s 😀']}", "- *x", "# end 😀", "z: 2",
    ]  # fmt: skip
    text = newline.join([*lines, ""])

    assert list(places(composed(text))) == list(places(yaml.compose(text, Loader=yaml.SafeLoader)))


def places(node: Any) -> Iterator[tuple[int, int]]:
    yield node.start_mark.index, node.end_mark.index
    for below in () if isinstance(node.value, str) else node.value:
        for each in below if isinstance(below, tuple) else [below]:
            yield from places(each)


def test_the_file_is_read_and_looked_at_no_more_often_than_needed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for module, name in ((exempting, "remarks"), (editing, "composed"), (files, "understood")):
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, own=own, name=name: (done.append(name), own(*given))[1])

    assert command(*GOOD, "--dry-run").code == 0
    assert sorted(done) == ["composed", "remarks", "remarks", "understood", "understood"]


# --- the commands ---------------------------------------------------------------------------------------------------------------------

GOOD = ("add", "search/x_*", "--rule", "naming", "--reason", "moves with the index", "--owner", "search", "--expires", "2029-03-31")


def test_add_writes_it_and_says_so(command: Command, tmp_path: Path) -> None:
    ended = command(*GOOD)

    assert ended == Ended(0, "", "search/x_* is exempt from naming until 2029-03-31\n")
    assert """    expires: 2097-01-31       # the end
  - match: "search/x_*"
    rules: [naming]
    reason: moves with the index
    owner: search
    expires: 2029-03-31
# what follows
""" in (tmp_path / "policy.yaml").read_text()


def test_a_dry_run_shows_the_lines_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    ended = command(*GOOD, "--dry-run")

    assert ended.out.splitlines()[0] == '+  - match: "search/x_*"'
    assert all(line.startswith("+") for line in ended.out.splitlines())
    assert (tmp_path / "policy.yaml").read_text() == SHAPES["block"]


def other(**but: str) -> list[str]:
    given = {"--rule": "naming", "--reason": "moves with the index", "--owner": "search", "--expires": "2029-03-31", **but}
    return ["add", given.pop("match", "search/x_*"), *(word for pair in given.items() for word in pair)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (other(**{"--reason": "short"}), "--reason cannot be used"),
        (other(**{"--owner": " "}), "--owner cannot be used"),
        (other(match=""), "the glob cannot be used"),
        (other(**{"--rule": "nming"}), "--rule cannot be used\n  why: there is no rule 'nming'\n  do:  did you mean naming?"),
        (
            other(**{"--rule": "unused"}),
            "the exemption is not added: nothing is asked for by the rule unused in ROOT [exemption-of-nothing]",
        ),
        (other(match="Search/*"), "the exemption is not added: no repository name is like 'Search/*' [exemption-matches-nothing]"),
        (other(**{"--expires": "2020-01-31"}), "the exemption is not added: ended"),
        (other(**{"--expires": "2096-01-31"}), "the exemption is not added: lasts until 2096-01-31 [exemption-for-ever]"),
        (other(match="payments/old_x"), "the exemption is not added: the exemption of 'payments/old_*' covers it"),
        ([*other(), "--policy", "none.yaml"], "none.yaml cannot be read"),
        (["expire", "search/*"], "there is no exemption of search/*"),
        (["expire", "payments/old_*", "--line", "3"], "there is no exemption of payments/old_* in line 3"),
        (["list", "--output", "xml"], "there is no output xml"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_three_lines_and_the_file_stays(
    command: Command, tmp_path: Path, arguments: list[str], told: str
) -> None:
    ended = command(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {told}")
    assert "\n  why:" in ended.err
    assert "\n  do:  " in ended.err
    assert (tmp_path / "policy.yaml").read_text() == SHAPES["block"]


def test_an_exemption_that_leaves_another_one_nothing_says_which_line_that_is(command: Command, tmp_path: Path) -> None:
    day = datetime.now(UTC).date() + timedelta(days=300)
    text = SHAPES["block"].replace("2097-01-31", day.isoformat())
    (tmp_path / "policy.yaml").write_text(text)

    ended = command(*other(match="payments/o*", **{"--expires": (day + timedelta(days=1)).isoformat()}))

    assert ended == Ended(
        2,
        "",
        "error: the exemption is not added: line 8 of policy.yaml would then be in vain [exemption-redundant]\n"
        f"  why: exemptions[0]: the exemption of 'payments/o*' covers it and lasts until {day + timedelta(days=1)}\n"
        "  do:  ask for less; or remove what that line begins from the file, and ask again\n",
    )
    assert (tmp_path / "policy.yaml").read_text() == text


@pytest.mark.parametrize("missing", ["--rule", "--reason", "--owner", "--expires"])
def test_reason_owner_end_and_rule_are_required(command: Command, missing: str) -> None:
    arguments = list(GOOD)
    at = arguments.index(missing)
    del arguments[at : at + 2]

    ended = command(*arguments)

    assert ended.code == 2
    assert f"missing option '{missing}'" in ended.err


@pytest.mark.parametrize("day", ["2027-13-01", "31.1.2027", "20270131", "2027-01-31T00:00:00", "tomorrow"])
def test_a_day_that_is_none_is_told_how_a_day_is_written(command: Command, day: str) -> None:
    ended = command("list", "--on", day)

    assert (ended.code, ended.err) == (
        2,
        f"error: '{day}' is no day of the calendar\n  why: a day is written YYYY-MM-DD\n  do:  write it as for example 2027-03-31\n",
    )


def test_a_file_that_is_not_valid_is_not_touched(command: Command, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nmoed: audit\n")

    assert command(*GOOD).err.startswith("error: policy.yaml is no valid policy file")
    assert (tmp_path / "policy.yaml").read_text() == "version: 1\nmoed: audit\n"


def test_a_list_that_an_alias_stands_for_is_left_to_people(command: Command, tmp_path: Path) -> None:
    text = f"{NAMING}exemptions:\n  - &one {json.dumps(ONE)}\n  - *one\n"
    (tmp_path / "policy.yaml").write_text(text)

    ended = command("expire", "payments/old_*", "--line", "7")

    assert ended.err.startswith("error: the policy file cannot be changed here")
    assert (tmp_path / "policy.yaml").read_text() == text


JSON = '{"version": 1, "naming": {"convention": "{team}/{service}"}%s}\n'


@pytest.mark.parametrize("listed", ["", ', "exemptions": []'])
def test_a_file_in_braces_that_has_no_entry_is_left_to_people(command: Command, tmp_path: Path, listed: str) -> None:
    (tmp_path / "policy.yaml").write_text(JSON % listed)

    assert command(*GOOD) == Ended(
        2,
        "",
        "error: the policy file cannot be changed here\n"
        "  why: it is written in braces, as JSON is, and has no exemption that shows how one is written there\n"
        "  do:  write it by hand, then ecr-governor policy validate FILE\n",
    )
    assert (tmp_path / "policy.yaml").read_text() == JSON % listed


def test_what_is_added_to_json_and_ended_there_is_json(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(JSON % f', "exemptions": [{json.dumps(ONE)}]')

    assert command(*GOOD).code == 0
    assert json.loads(path.read_text())["exemptions"][1] == {
        "match": "search/x_*",
        "rules": ["naming"],
        "reason": "moves with the index",
        "owner": "search",
        "expires": "2029-03-31",
    }
    assert command("expire", "search/x_*").code == 0
    assert json.loads(path.read_text())["exemptions"][1]["expires"] == str(datetime.now(UTC).date() - timedelta(days=1))


def inventory(tmp_path: Path, *names: str) -> str:
    lines = [
        json.dumps(
            {
                "name": name, "account": "1", "region": "r", "origin": "api", "owner": None, "findings": [], "undetermined": {}, "images": 1,
                "size_bytes": 1, "last_push": None, "last_pull": None, "unused": False,
                "facts": {"created_at": "2026-01-01T00:00:00+00:00", "scan_on_push": False, "may_be_cache": False, "repository_policy": None},
            }
        )
        for name in names
    ]  # fmt: skip
    (tmp_path / "inventory.jsonl").write_text("\n".join(lines))
    return "inventory.jsonl"


def test_against_an_inventory_it_says_whom_it_frees_and_refuses_what_matches_nothing(command: Command, tmp_path: Path) -> None:
    known = inventory(tmp_path, "search/x_1", "search/y_1", "search/good")

    assert command(*GOOD, "--against", known).err.splitlines()[1] == ("1 of 3 repositories would be freed of a finding: search/x_1")
    refused = command(*other(match="search/z_*"), "--against", known)
    assert refused.err.startswith("error: search/z_* matches nothing\n  why: none of the repositories in inventory.jsonl is like it\n")
    assert "z_" not in (tmp_path / "policy.yaml").read_text()


def test_expire_ends_it_now_and_says_what_is_judged_again(command: Command, tmp_path: Path) -> None:
    known = inventory(tmp_path, "payments/old_1", "payments/api")

    ended = command("expire", "payments/old_*", "--against", known)

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "payments/old_* is judged again by naming once the file is uploaded, with its next event or the next sweep",
        "1 of 2 repositories would be newly violating: payments/old_1",
    ]
    assert (tmp_path / "policy.yaml").read_text() == SHAPES["block"].replace("2097-01-31 ", f"{yesterday} ")
    assert command("expire", "payments/old_*").err == (
        f"error: the exemption of payments/old_* has ended already\n  why: its last day was {yesterday}\n"
        "  do:  ecr-governor exempt list --policy policy.yaml\n"
    )


def test_of_two_with_the_same_glob_the_line_says_which(command: Command, tmp_path: Path) -> None:
    second = json.dumps({**ONE, "expires": "2096-01-31", "rules": "*"})
    (tmp_path / "policy.yaml").write_text(f"{NAMING}exemptions:\n  - {json.dumps(ONE)}\n  - {second}\n")

    assert "in the lines 7, 8" in command("expire", "payments/old_*").err
    ended = command("expire", "payments/old_*", "--line", "7")
    assert ended.err.splitlines() == [
        "payments/old_* is not judged again: it is still exempt",
        "still exempt: payments/old_* from naming until 2096-01-31, by payments/old_* (policy.yaml:8)",
    ]
    assert "2096-01-31" in (tmp_path / "policy.yaml").read_text()


JUDGED = "is judged again by {} once the file is uploaded, with its next event or the next sweep (not written)"


@pytest.mark.parametrize(
    ("ended", "others", "told"),
    [
        pytest.param(
            ["naming"],
            [("payments/*", ["naming"], "2096-01-31")],
            [
                "payments/old_* is not judged again: it is still exempt (not written)",
                "still exempt: payments/old_* from naming until 2096-01-31, by payments/* (policy.yaml:8)",
            ],
            id="a wider glob",
        ),
        pytest.param(
            ["naming", "tag-mutability"],
            [("payments/*", ["naming", "scanning"], "2096-01-31"), ("*", "naming", "2098-01-31")],
            [
                f"payments/old_* {JUDGED.format('tag-mutability')}",
                "still exempt: payments/old_* from naming until 2096-01-31, by payments/* (policy.yaml:8)",
                "still exempt: payments/old_* from naming until 2098-01-31, by * (policy.yaml:9)",
            ],
            id="of one rule",
        ),
        pytest.param(
            "*",
            [("payments/*", ["naming"], "2096-01-31")],
            [
                f"payments/old_* {JUDGED.format('every rule but naming')}",
                "still exempt: payments/old_* from naming until 2096-01-31, by payments/* (policy.yaml:8)",
            ],
            id="of every rule one",
        ),
        pytest.param(
            ["naming"],
            [("payments/old_a*", "*", "2096-01-31")],
            [f"payments/old_* {JUDGED.format('naming')}", "still exempt: payments/old_a* from naming until 2096-01-31 (policy.yaml:8)"],
            id="a narrower glob",
        ),
        pytest.param(
            ["naming"],
            [("payments/*", ["scanning"], "2096-01-31"), ("payments/*", ["naming"], "2026-01-31"), ("search/*", "*", "2096-01-31")],
            [f"payments/old_* {JUDGED.format('naming')}"],
            id="another rule, one that is over, another glob",
        ),
    ],
)
def test_what_is_still_exempt_is_told_with_the_entry_that_spares_it(
    command: Command, tmp_path: Path, ended: Any, others: list[tuple[str, Any, str]], told: list[str]
) -> None:
    entries = [{**ONE, "rules": ended}, *({**ONE, "match": match, "rules": rules, "expires": end} for match, rules, end in others)]
    (tmp_path / "policy.yaml").write_text(f"{NAMING}exemptions:\n" + "".join(f"  - {json.dumps(each)}\n" for each in entries))

    assert command("expire", "payments/old_*", "--dry-run").err.splitlines() == told


def test_list_says_what_holds_what_ends_soon_and_what_has_ended(command: Command, tmp_path: Path) -> None:
    ends = ["2026-11-01", "2026-11-30", "2097-01-31"]
    entries = "".join(f"  - {json.dumps({**ONE, 'match': f'payments/{index}', 'expires': end})}\n" for index, end in enumerate(ends))
    (tmp_path / "policy.yaml").write_text(f"{NAMING}exemptions:\n{entries}")

    table = command("list", "--on", "2026-11-26").out
    rows = json.loads(command("list", "--on", "2026-11-26", "--output", "json").out)

    assert [(row["state"], row["expires"], row["days_left"] > 0, row["line"]) for row in rows] == [
        ("expired", "2026-11-01", False, 7),
        ("ends soon", "2026-11-30", True, 8),
        ("holds", "2097-01-31", True, 9),
    ]
    assert table.endswith("1 ends soon, 1 holds, 1 expired\n")
    assert command("list", "--on", "2026-10-01").out.endswith("3 hold\n")
    assert command("list", "--repository", "nothing/here").out == "the 3 exemptions do not speak of nothing/here\n"
    assert json.loads(command("list", "--repository", "nothing/here", "--output", "json").out) == []
    assert json.loads(command("list", "--repository", "payments/1", "--output", "json").out)[0]["match"] == "payments/1"
    (tmp_path / "policy.yaml").write_text(NAMING)
    assert command("list").out == "no exemptions\n"


def test_the_mark_at_the_beginning_of_a_file_stays(command: Command, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(b"\xef\xbb\xbf" + NAMING.encode())

    assert command(*GOOD).code == 0
    assert (tmp_path / "policy.yaml").read_bytes().startswith(b"\xef\xbb\xbf# Who")
