"""`ecr-governor policy validate`: outputs, exit codes, and files that are none."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_governor.core.policy.lint import CHECKS, Level
from tests.commands import Ended, run
from tests.fakes import a_policy

Validate = Callable[..., Ended]

WARNED = """\
version: 1
naming: {convention: "{team}/{service}"}
rules: {naming: enforce}
mode: enforce
"""
WRONG = 'version: 1\nmode: "%0A::error::x"\nnaming: {convention: "{team}-"}\nnmaing: {}\n'
IMPOSSIBLE = 'version: 1\nnaming: {convention: "{team}-"}\n'
NOTED = "version: 1\nexemptions: [{match: a/*, rules: '*', reason: moves with the cluster, owner: me, expires: 2026-12-01}]\n"


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Validate:
    monkeypatch.chdir(tmp_path)

    def validated(text: str | bytes, *options: str) -> Ended:
        (tmp_path / "policy.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return run(capsys, monkeypatch, "policy", "validate", "policy.yaml", *options)

    return validated


def test_a_policy_without_remarks_says_its_hash(validate: Validate) -> None:
    assert validate("version: 1") == Ended(0, "", f"policy.yaml: valid, policy hash {a_policy('').hash}\n")


def test_a_warning_is_told_with_why_it_matters(validate: Validate) -> None:
    ended = validate(WARNED)

    assert ended.out == (
        "policy.yaml:3:17: warning: rules.naming.mode: naming has nothing to put right by [rule-has-no-remedy]\n"
        "  why: nothing is put right by it, although the file reads so\n"
        "  do:  write audit; what can be put right is judged by lifecycle-policy, repository-policy, required-tags and tag-mutability\n"
    )
    assert ended.err.startswith("policy.yaml: valid, policy hash ")
    assert ended.err.endswith("; 1 warning\n")
    assert ended.code == 0


def test_strict_makes_a_warning_count_and_a_note_does_not(validate: Validate) -> None:
    assert validate(WARNED, "--strict").code == 1
    assert validate(WARNED, "--strict", "--ignore", "rule-has-no-remedy").code == 0
    noted = validate(NOTED, "--strict", "--on", "2026-11-24")
    assert (noted.code, noted.err.endswith("; 1 note\n")) == (0, True)
    assert "note: exemptions[0].expires: ends after 2026-12-01" in noted.out
    assert validate(NOTED, "--strict", "--on", "2026-12-02").code == 1


def test_errors_end_with_2_whoever_finds_them(validate: Validate) -> None:
    unread, impossible = validate(WRONG), validate(IMPOSSIBLE)

    assert (unread.code, impossible.code) == (2, 2)
    assert unread.err == "policy.yaml: 2 errors; what the file says in vain is looked for once it can be read\n"
    assert impossible.err == "policy.yaml: 1 error\n"
    assert "policy.yaml:4:1: error: nmaing: unknown key 'nmaing' [unknown-key]" in unread.out
    assert "policy.yaml:2:22: error: naming.convention: no repository name keeps {team}- [naming-impossible]" in impossible.out


def test_json_has_every_remark_with_its_place(validate: Validate) -> None:
    data = json.loads(validate(WARNED, "--output", "json").out)

    assert {key: data[key] for key in ("file", "valid", "errors", "warnings", "notes")} == {
        "file": "policy.yaml", "valid": True, "errors": 0, "warnings": 1, "notes": 0,
    }  # fmt: skip
    assert data["policy_hash"]
    assert data["remarks"] == [
        {
            "level": "warning",
            "code": "rule-has-no-remedy",
            "file": "policy.yaml",
            "line": 3,
            "column": 17,
            "path": "rules.naming.mode",
            "what": "naming has nothing to put right by",
            "why": CHECKS["rule-has-no-remedy"].why,
            "do": "write audit; what can be put right is judged by lifecycle-policy, repository-policy, required-tags and tag-mutability",
        }
    ]
    unread = json.loads(validate(WRONG, "--output", "json").out)
    assert (unread["valid"], unread["policy_hash"], unread["errors"]) == (False, None, 2)


def test_github_marks_the_lines_and_foreign_text_is_no_command(validate: Validate) -> None:
    lines = validate(WRONG, "--output", "github").out.splitlines()

    assert lines == [
        (
            "::error file=policy.yaml,line=2,col=7,title=value::mode: '%250A::error::x' is not one of the allowed values%0A"
            "why: it could not be judged by, or AWS would not take it%0Ado: write one of off, audit, enforce"
        ),
        (
            "::error file=policy.yaml,line=4,col=1,title=unknown-key::nmaing: unknown key 'nmaing'%0A"
            "why: a misspelt key would say nothing, and nobody would notice%0A"
            "do: did you mean naming? write one of version, preset, mode, naming, namespaces, owner_tag, rules, exemptions, retirement, "
            "templates, limits, notifications"
        ),
    ]
    assert validate(NOTED, "--output", "github", "--on", "2026-11-24").out.startswith("::notice file=policy.yaml,line=2,")


def test_sarif_places_remarks_at_their_lines(validate: Validate) -> None:
    log = json.loads(validate(WRONG, "--output", "sarif").out)

    (ran,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = ran["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CHECKS)
    assert {rule["defaultConfiguration"]["level"] for rule in rules} == {level.value for level in Level}
    first = ran["results"][0]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "value"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "policy.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 2, "startColumn": 7},
    }
    prints = [json.dumps(result["partialFingerprints"]) for result in ran["results"]]
    assert len(set(prints)) == len(prints) == 2


def test_what_is_wrong_on_the_command_line_is_three_lines(validate: Validate) -> None:
    assert validate("version: 1", "--ignore", "nonsense").err.startswith(
        "error: there is no check nonsense\n  why: what can be ignored is "
    )
    assert validate("version: 1", "--ignore", "type").err == (
        "error: type cannot be ignored\n  why: it finds what cannot be meant\n  do:  mend what it finds\n"
    )
    told = validate("version: 1", "--output", "xml")
    assert (told.code, told.err) == (
        2,
        "error: there is no output xml\n  why: this command has text, json, sarif, github\n  do:  --output text|json|sarif|github\n",
    )


BOMB = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BOMB, "5:10: error: the file has more than 20000 values, aliases counted in full [too-large]"),
        ("version: 1\nmode: off\nmode: audit", "3:1: error: the key 'mode' is there twice, first in line 2 [yaml]"),
        ("version: 1\nnaming:\n\tconvention: x", "3:1: error: is indented with a tab [yaml]"),
        ("version: 7", "1:10: error: version: version 7 is newer than this release, which reads version 1 [value]"),
        ("version: 1\nexemptions: yes", "2:13: error: exemptions: must be a list, not the text 'yes' [type]"),
        (b"version: 1\nmode: \xff", "2:7: error: is not UTF-8 text [character]"),
        (b"#" * 10_000_000, "1:1: error: the file has 10000000 bytes; more than 262144 are not read [too-large]"),
        (
            (
                'version: 1\nnamespaces:\n  a: {encryption: {type: KMS, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1"}}\n'
                '  b: {encryption: {type: KMS, kms_key: "arn:aws:kms:us-east-1:123456789012:key/1"}}'
            ),
            (
                "4:40: error: namespaces.b.encryption.kms_key: arn:aws:kms:us-east-1:123456789012:key/1 is of us-east-1, and "
                "arn:aws:kms:eu-west-1:123456789012:key/1 is of eu-west-1 [other-region]"
            ),
        ),
    ],
)
def test_bad_input_is_an_error_with_its_line(validate: Validate, data: str | bytes, told: str) -> None:
    ended = validate(data)

    assert ended.code == 2
    assert ended.out.splitlines()[0] == f"policy.yaml:{told}"


def test_a_region_can_be_given(validate: Validate) -> None:
    text = 'version: 1\nnamespaces: {a: {encryption: {type: KMS, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1"}}}'

    assert validate(text, "--region", "eu-west-1").code == 0
    assert validate("version: 1", "--region", "us-gov-west-1").code == 0
    assert validate(text, "--region", "Ireland").err.startswith("error: Ireland is no AWS Region\n")
    assert "is of eu-west-1, not of us-east-1 [other-region]" in validate(text, "--region", "us-east-1").out


def test_a_file_that_never_ends_is_read_no_further_than_it_could_be_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run(capsys, monkeypatch, "policy", "validate", os.devnull.replace("null", "zero"))

    assert ended.code == 2
    assert "the file is larger than 262144 bytes, the most that is read" in ended.out


def test_no_file_and_a_folder_are_told_apart(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing, folder = (run(capsys, monkeypatch, "policy", "validate", str(tmp_path / name)) for name in ("no.yaml", "."))

    assert (
        missing.err
        == f"error: {tmp_path}/no.yaml cannot be read\n  why: No such file or directory\n  do:  give the path of a policy file\n"
    )
    assert "Is a directory" in folder.err
    assert missing.code == folder.code == 2


def test_no_function_loads_what_only_the_command_line_needs() -> None:
    script = (
        "import sys\n"
        "from ecr_governor.bootstrap import events, retirement, sweep, telling\n"
        "assert not [name for name in sys.modules if '.policy.lint' in name or name.endswith(('.reference', '.facts_as_data', '.schema'))]"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
