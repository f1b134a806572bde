"""Documents that a policy file leaves to files: read whole, told with their own lines, or refused."""

from textwrap import dedent

import pytest

from ecr_governor.core.policy.document_files import FileRefused
from ecr_governor.core.policy.lint import remarks
from ecr_governor.core.policy.load import PolicyInvalid, Reading, read
from ecr_governor.core.policy.yaml_text import MAX_BYTES, MAX_NODES
from tests.unit.policy.test_model import NOW

RULE = "{rulePriority: 1, selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 14}, action: {type: expire}}"
INLINE = f"version: 1\nnamespaces: {{a: {{lifecycle_policy: {{rules: [{RULE}]}}}}}}"


class Files:
    """Files in memory."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.reads: list[str] = []

    def read(self, path: str) -> tuple[str, bytes]:
        self.reads.append(path)
        if path not in self.texts:
            raise FileRefused(f"{path!r} cannot be read", "correct its path")
        return f"dir/{path}", self.texts[path].encode()


def reading(text: str, **texts: str) -> Reading:
    return read("version: 1\n" + dedent(text), "policy.yaml", Files(**texts))


def problems(text: str, **texts: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as raised:
        reading(text, **texts)
    return list(map(str, raised.value.problems))


@pytest.mark.parametrize("document", [f"rules:\n- {RULE}", f'{{\n\t"rules": [\n\t\t{RULE}\n\t]\n}}\n'])
def test_a_policy_with_files_is_the_policy_that_says_it_itself(document: str) -> None:
    made = reading("namespaces: {a: {lifecycle_policy: {file: x}}}", x=document).policy

    assert made.hash == read(INLINE, "policy.yaml").policy.hash


def test_a_file_that_several_namespaces_name_is_read_once() -> None:
    files = Files(x=f"rules: [{RULE}]")
    text = "version: 1\nnamespaces: {a: &a {lifecycle_policy: &l {file: x}}, b: *a, c: {lifecycle_policy: *l}, d: {lifecycle_policy: {file: x}}}"
    made = read(text, "policy.yaml", files).policy

    assert files.reads == ["x"]
    assert len({repr(settings.lifecycle_policy) for settings in made.namespaces.values()}) == 1
    assert made.namespaces["d"].lifecycle_policy is not None


@pytest.mark.parametrize(
    ("text", "texts", "told"),
    [
        (
            "namespaces:\n  a:\n    repository_policy: {file: nope.json}",
            {},
            ["policy.yaml:4:31: namespaces.a.repository_policy.file: 'nope.json' cannot be read → correct its path"],
        ),
        (
            "namespaces: {a: {lifecycle_policy: {file: [x]}, repository_policy: {file: x, Version: '2012-10-17'}}}",
            {},
            [
                "policy.yaml:2:37: namespaces.a.lifecycle_policy.file: must be the path of a file, not a list → write file: lifecycle.json",
                "policy.yaml:2:78: namespaces.a.repository_policy.Version: Version stands beside file, which is the whole document → remove one of the two",
            ],
        ),
        (
            "namespaces: {a: {lifecycle_policy: {file: x}, repository_policy: {file: y}}, b: {repository_policy: {file: y}}}",
            {"x": "# why\n\nrules:\n- {rulePriority: 1}\n- 2\n", "y": "Version: '2012-10-17'\n"},
            [
                "dir/x:4:3: namespaces.a.lifecycle_policy.rules[0].action: must be an object → for example {type: expire}",
                "dir/x:4:3: namespaces.a.lifecycle_policy.rules[0].selection: must be an object → say tagStatus, countType and countNumber",
                "dir/x:5:3: namespaces.a.lifecycle_policy.rules[1]: must be an object → say rulePriority, selection and action",
                "dir/y:1:1: namespaces.a.repository_policy.Statement: must be a list of at least one statement → write - before each statement, each with Sid, Effect, Principal and Action",
                "dir/y:1:1: namespaces.b.repository_policy.Statement: must be a list of at least one statement → write - before each statement, each with Sid, Effect, Principal and Action",
            ],
        ),
        (
            "namespaces: {a: {lifecycle_policy: {file: x}}, b: {lifecycle_policy: {file: y}}, c: {lifecycle_policy: {file: z}}}\nmode: on",
            {"x": "\nfile: x", "y": "file: z", "z": "rules: [\n"},
            [
                "policy.yaml:3:7: mode: 'on' is not one of the allowed values → write one of off, audit, enforce",
                "dir/x:2:1: the file refers to itself, in a circle → write the document itself there",
                "dir/y:1:1: the file refers to another one, 'z', and a document is in one file → write the document itself there",
                "dir/z:2:1: is not YAML: while parsing a flow node did not find expected node content → check indentation, colons and quotes in this line and the one before",
            ],
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_file_line_and_column(text: str, texts: dict[str, str], told: list[str]) -> None:
    assert problems(text, **texts) == told


def test_a_deployment_has_one_file_and_says_how_it_is_made() -> None:
    with pytest.raises(PolicyInvalid) as raised:
        read("version: 1\nnamespaces:\n  a:\n    lifecycle_policy:\n      file: x.json\n", "policy.yaml")

    assert str(raised.value) == (
        "policy.yaml:5:13: namespaces.a.lifecycle_policy.file: is left to the file 'x.json', and only this file is read here → make one file "
        "of them by ecr-governor policy bundle, and upload that"
    )


@pytest.mark.parametrize(
    ("document", "uses", "what"),
    [
        (f"# {'x' * (MAX_BYTES // 3)}\nrules: [{RULE}]", 3, f"with 'x' the policy has more than {MAX_BYTES} bytes → leave less to files"),
        (f"rules: [{', '.join('1' * 1500)}]", 14, f"with 'x' the policy has more than {MAX_NODES} values → leave less to files"),
    ],
    ids=["bytes", "values"],
)
def test_all_together_is_no_more_than_one_file_may_be(document: str, uses: int, what: str) -> None:
    text = "namespaces:\n" + "".join(f"  a{number}: {{lifecycle_policy: {{file: x}}}}\n" for number in range(uses))

    assert what in "\n".join(problems(text, x=document))
    assert "more than" not in "\n".join(problems(f"mode: on\n{text}".replace(f"  a{uses - 1}: ", "  # "), x=document))


def test_remarks_on_a_document_tell_its_own_lines() -> None:
    everything = RULE.replace("untagged", "any")
    text = "namespaces:\n  a: {lifecycle_policy: {file: x}, retirement: {}}\nexemptions: [{match: A, rules: '*', reason: because of a test, owner: me, expires: 2027-01-01}]"
    found = remarks(reading(text, x=f"rules:\n- {everything}"), NOW)

    assert [(each.source, each.line, each.code) for each in found] == [
        ("policy.yaml", 3, "retirement-emptied-first"),
        ("policy.yaml", 4, "exemption-matches-nothing"),
        ("dir/x", 2, "lifecycle-expires-in-use"),
    ]
