"""`ecr-governor policy test`: cases that come out as expected, those that do not, and files that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.commands import Ended, run

ROOT = Path(__file__).parents[3]
Tested = Callable[..., Ended]

POLICY = """\
version: 1
mode: enforce
naming: {convention: "{team}/{service}", segments: {team: [payments, search]}}
namespaces:
  ROOT: {required_tags: {owner: {set: "{pusher}"}, team: {set: "{team}"}}}
  search: {tag_mutability: IMMUTABLE, retirement: {after_days: 30}}
rules: {repository-policy: off}
exemptions: [{match: "search/old*", rules: "*", reason: moves with the cluster, owner: me, expires: 2026-12-31}]
"""


@pytest.fixture
def tested(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tested:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)

    def ran(text: str, *options: str) -> Ended:
        (tmp_path / "cases.yaml").write_text(text)
        return run(capsys, monkeypatch, "policy", "test", "cases.yaml", *options)

    return ran


def cases(*listed: str) -> str:
    return "policy: policy.yaml\nnow: 2026-11-24\ncases:\n" + "".join(f"  - {{case: a case, {each}}}\n" for each in listed)


def test_the_example_beside_the_documentation_passes_and_leaves_nothing_untested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run(capsys, monkeypatch, "policy", "test", str(ROOT / "docs/examples/policy.cases.yaml"), "--require-tests")

    assert ended.code == 0
    assert ended.out.endswith("12 cases, 0 failed\n")
    assert (
        run(capsys, monkeypatch, "policy", "validate", str(ROOT / "docs/examples/policy.yaml"), "--strict", "--on", "2026-11-24").code == 0
    )


@pytest.mark.parametrize(
    ("case", "failures"),
    [
        ("repository: payments/api, expect: {findings: []}", []),
        ("repository: paymets/api, expect: {findings: []}", [
            "findings: naming was not expected: team 'paymets' must be one of payments, search; nearest allowed name: payments/api",
        ]),
        ("repository: payments/api, expect: {findings: [naming, scanning]}", [
            "findings: expected naming, scanning as well; there is none",
        ]),
        ("repository: payments/api, given: {tags: {owner: a}}, expect: {findings: naming}", [
            "findings: expected naming as well; there is required-tags",
            "findings: required-tags was not expected: has no tag team",
        ]),
        ("repository: search/old, given: {tag_mutability: MUTABLE}, expect: {exempt: [], findings: tag-mutability}", [
            "findings: expected tag-mutability as well; there is none",
            "exempt: tag-mutability was not expected: its tags are MUTABLE, expected is IMMUTABLE",
        ]),
        ("repository: payments/api, expect: {undetermined: []}", [
            "undetermined: required-tags was not expected: its tags could not be read: the case does not say",
        ]),
        ("repository: payments/api, expect: {compliant: [naming, scanning, required-tags]}", [
            "compliant: scanning is not; the policy does not ask for it",
            "compliant: required-tags is not; it is undetermined: its tags could not be read: the case does not say",
        ]),
        ("repository: paymets/api, expect: {reasons: {naming: nothing}}", [
            ("reasons: naming should say 'nothing'; it is a finding: team 'paymets' must be one of payments, search; nearest allowed name: "
            "payments/api"),
        ]),
        ("repository: payments/api, given: {tags: {}}, expect: {remedies: []}", ["remedies: expected none; there is TagResource"]),
        ("repository: payments/api, given: {tags: {team: payments}}, expect: {remedies: TagResource}", [
            "remedies: expected TagResource; there is none",
        ]),
        ("repository: search/api, expect: {because: idle}", [
            "because: the case does not say when it was used; give history, or created_at and last_push",
        ]),
        ("repository: search/api, given: {created_at: 2026-11-24, last_push: 2026-11-24}, expect: {retirement: observed, because: nothing}", [
            ("because: nothing says 'nothing'; the rule unused does not find it unused; the policy asks for it: up to mark, as one that is unused; "
            "watched long enough: since 2026-11-24, 30 days are asked for; unused: it was used on 2026-11-24; nobody uses it: ecs, lambda named nobody"),
        ]),
        ("repository: search/api, expect: {namespace: ROOT}", ["namespace: expected ROOT; it is in search"]),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_is_told(tested: Tested, case: str, failures: list[str]) -> None:
    ended = tested(cases(case), "--output", "json")

    (result,) = json.loads(ended.out)["results"]
    assert result["failures"] == failures
    assert result["passed"] == (not failures)
    assert ended.code == bool(failures)


def test_facts_that_a_case_leaves_out_are_not_known_and_null_is_none(tested: Tested) -> None:
    given = "tags: {owner: a, team: search}, tag_mutability: IMMUTABLE, last_push: 2026-11-01, created_at: 2026-01-01"
    told = tested(
        cases(
            "repository: search/api, expect: {undetermined: [required-tags, tag-mutability, unused]}",
            "repository: search/api, given: {created_at: 2026-01-01}, expect: {undetermined: [required-tags, tag-mutability, unused]}",
            f"repository: search/api, given: {{{given}}}, expect: {{undetermined: [], findings: [], compliant: unused}}",
            "repository: search/api, given: {tags: null}, expect: {findings: required-tags}",
            "repository: search/api, given: {origin: create_on_push, created_at: 2026-11-24, tags: {team: search}}, expect: {findings: []}",
        )
    )

    assert "FAILED" not in told.out.partition("\n")[2]
    # A repository that was created just now cannot be unused: that is known without its images.
    assert "findings" not in told.out
    assert told.out.splitlines()[0].startswith("FAILED")
    assert told.out.splitlines()[1].strip() == "undetermined: expected unused as well; there is required-tags, tag-mutability"


def test_what_has_no_case_is_named(tested: Tested) -> None:
    ended = tested(cases("repository: search/api, expect: {compliant: naming}"), "--require-tests")

    assert ended.out.splitlines()[1:] == [
        "untested  the rule required-tags has no case",
        "untested  the rule tag-mutability has no case",
        "untested  the rule unused has no case",
        "untested  the namespace ROOT has no case",
        "untested  the retirement of search has no case",
        "1 case, 0 failed, 5 untested",
    ]
    assert ended.code == 1
    assert tested(cases("repository: search/api, expect: {compliant: naming}")).code == 0


def test_of_several_policies_it_is_said_by_which_one_something_has_no_case(tested: Tested) -> None:
    Path("other.yaml").write_text("version: 1\nnaming: {convention: '{team}'}\n")
    Path("other.cases.yaml").write_text(cases("repository: x/y, expect: {findings: naming}").replace("policy.yaml", "other.yaml"))
    ended = tested(cases("repository: search/api, expect: {compliant: naming}"), "other.cases.yaml", "--require-tests")
    assert "untested  the rule unused has no case, by policy.yaml\n" in ended.out


def test_a_rule_that_is_on_in_one_namespace_only_needs_a_case(tested: Tested, tmp_path: Path) -> None:
    elsewhere = POLICY.replace("{repository-policy: off}", "{repository-policy: off, tag-mutability: off, unused: off}")
    case = cases("repository: search/api, given: {tag_mutability: MUTABLE}, expect: {findings: []}")
    untested = "untested  the rule tag-mutability has no case"
    for rules, named, code in (("naming: off", False, 0), ("tag-mutability: audit", True, 1)):
        (tmp_path / "policy.yaml").write_text(elsewhere.replace("search: {", f"search: {{rules: {{{rules}}}, "))
        ended = tested(case, "--require-tests")
        assert (untested in ended.out.splitlines()) is named
        assert tested(case).code == code


def test_the_policy_may_be_given_on_the_command_line(tested: Tested, tmp_path: Path) -> None:
    text = cases("repository: payments/api, expect: {findings: []}").replace("policy: policy.yaml\n", "")
    (tmp_path / "other.yaml").write_text("version: 1")

    assert tested(text).err.startswith("error: cases.yaml names no policy file\n")
    assert tested(text, "--policy", "other.yaml").code == 0


HOSTILE = 'repository: payments/api, given: {tags: {owner: "]]>&<@all>|\\n::error::\\u0000"}}, expect: {findings: []}'


def test_junit_is_xml_whatever_is_in_it(tested: Tested) -> None:
    hostile = cases('repository: paymets/api, expect: {reasons: {naming: "]]>&<@all> \\"|\\n::error::"}}').replace(
        "a case", '"<a> & \\"b\\""'
    )
    root = ET.fromstring(tested(hostile, "--output", "junit", "--require-tests").out)  # noqa: S314 - our own

    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "6", "6")
    first = root[0][0]
    assert (first.get("name"), first.get("classname"), first.get("line")) == ('<a> & "b"', "cases.yaml", "4")
    assert "]]>&<@all>" in str(first[0].text)
    assert {suite.get("name"): suite.get("failures") for suite in root} == {"cases.yaml": "1", "untested": "5"}


def test_markdown_and_github_show_what_failed(tested: Tested) -> None:
    text = cases("repository: paymets/api, expect: {findings: []}", "repository: search/api, expect: {findings: []}")

    assert tested(text, "--output", "markdown").out == (
        "**Policy test: 2 cases, 1 failed**\n\n"
        "| Case | Repository | Not as expected |\n| --- | --- | --- |\n"
        "| a case (cases.yaml:4) | paymets/api | findings: naming was not expected: team 'paymets' must be one of payments, search; nearest "
        "allowed name: payments/api |\n"
    )
    assert tested(text, "--output", "github").out == (
        "::error file=cases.yaml,line=4,title=a case::findings: naming was not expected: team 'paymets' must be one of payments, search; "
        "nearest allowed name: payments/api\n"
    )
    assert "- the rule unused has no case\n" in tested(text, "--output", "markdown", "--require-tests").out
    assert "::error title=untested::the rule unused has no case\n" in tested(text, "--output", "github", "--require-tests").out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cases.yaml:1:1: the file is empty → start with policy: policy.yaml"),
        ("now: 2026-11-24\ncases: []", "cases.yaml:2:8: cases: is empty → write at least one"),
        ("now: soon\ncases: []", "cases.yaml:1:6: now: 'soon' is no date → write it as 2026-11-24, or with the time as 2026-11-24T12:00:00Z"),
        (cases("repository: a/b, expect: {}"), "cases.yaml:4:45: cases[0].expect: expects nothing → write what the policy should say, for example findings: []"),
        (cases("repository: A, expect: {findings: []}"), "cases.yaml:4:32: cases[0].repository: 'A' is no repository name → ECR takes a-z, 0-9 and single . _ - / between them"),
        (cases("repository: a/b, expect: {findings: nmaing}"), "cases.yaml:4:56: cases[0].expect.findings[0]: there is no rule 'nmaing' → did you mean naming? write one of "),
        (
            cases("repository: a/b, expect: {remedies: PutLifecycle}"),
            "cases.yaml:4:56: cases[0].expect.remedies[0]: there is no remedy 'PutLifecycle' → did you mean PutLifecyclePolicy? write one of PutImageTagMutability, ",
        ),
        (
            cases("repository: a/b, given: {created_at: 2026-11-25}, expect: {findings: []}", "repository: a/b, now: 2026-11-25T12:00:00Z, given: {last_push: 2026-11-25T12:00:01Z}, expect: {findings: []}"),
            "cases.yaml:4:57: cases[0].given.created_at: is after now, 2026-11-24 00:00 → give an earlier time, or a later now\n    cases.yaml:5:83: cases[1].given.last_push: is after now, 2026-11-25 12:00 → ",
        ),
        (
            cases("repository: a/b, history: [{at: 2026-01-01, created: api}, {at: 2026-12-01, pushed: a}], expect: {findings: []}"),
            "cases.yaml:4:84: cases[0].history[1].at: is after now, 2026-11-24 00:00 → give an earlier time, or a later now",
        ),
        (cases("repository: a/b, exepct: {}"), "cases.yaml:4:37: cases[0].exepct: unknown key 'exepct' → did you mean expect? write one of case, repository, now, given, history, expect"),
        (cases("repository: a/b, history: [{at: 2026-01-01, pushed: a}], expect: {findings: []}"), "cases.yaml:4:47: cases[0].history[0]: a history begins with a creation → write {at: 2026-01-01, created: create_on_push} first"),
        (
            cases("repository: a/b, history: [{at: 2026-01-02, created: api}, {at: 2026-01-01, pushed: a}], expect: {findings: []}"),
            "cases.yaml:4:84: cases[0].history[1].at: happens before what stands above it → put it in the order of time",
        ),
        (
            cases("repository: a/b, history: [{at: 2026-01-02, created: api, pulled: true}], expect: {findings: []}"),
            "cases.yaml:4:47: cases[0].history[0]: says created and pulled → write exactly one of created, pushed, pulled, tagged, running, vetoed",
        ),
        (cases("repository: a/b, history: [{at: 2026-01-02}], expect: {findings: []}"), "cases.yaml:4:47: cases[0].history[0]: says nothing → write exactly one of "),
        (
            cases("repository: a/b, given: {lifecycle_policy: none}, expect: {findings: []}"),
            "cases.yaml:4:63: cases[0].given.lifecycle_policy: is no document → write the document in YAML, expected for the one that the policy expects, or null for none",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_file_of_cases_is_refused(tested: Tested, text: str, told: str) -> None:
    ended = tested(text)

    assert ended.code == 2
    assert ended.err.splitlines()[0] == "error: cases.yaml is no valid file of cases"
    assert told in ended.err


def test_an_invalid_policy_and_a_missing_one_are_told(tested: Tested, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 3")
    text = cases("repository: a/b, expect: {findings: []}")

    assert "version 3 is newer than this release" in tested(text).err
    assert "error: no.yaml cannot be read" in tested(text.replace("policy.yaml", "no.yaml")).err


def test_a_chain_of_files_leads_no_further_than_from_cases_to_their_policy(tested: Tested) -> None:
    told = tested(cases("repository: a/b, expect: {findings: []}").replace("policy.yaml", "cases.yaml"))

    assert told.code == 2
    assert "error: cases.yaml is no valid policy file" in told.err
