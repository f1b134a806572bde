"""Reading policy files: every trouble is told with its line and with what to do."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.policy.load import MAX_BYTES, MAX_DEPTH, PolicyInvalid, Problem, load, load_bytes
from ecr_governor.core.policy.model import Mode

RULES = "auto-created, encryption, image-tag, lifecycle-policy, naming, repository-policy, required-tags, scanning, tag-mutability, unused"
TOP = "version, preset, mode, naming, namespaces, owner_tag, rules, exemptions, retirement, templates, limits, notifications"


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        load(text, "policy.yaml")
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem).removeprefix("policy.yaml:") for problem in caught.value.problems]


def test_the_shortest_policy_audits_and_expects_nothing() -> None:
    policy = load("version: 1", "policy.yaml")

    assert policy.mode is Mode.AUDIT
    assert policy.expectation_for("a/b").naming is None


def test_off_is_a_word_and_no_truth_value() -> None:
    policy = load("version: 1\nmode: off\nrules: {naming: off}", "policy.yaml")

    assert policy.mode is Mode.OFF


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty → start with version: 1"),
        ("# nothing but a comment\n", "1:1: the file is empty → start with version: 1"),
        ("---\n", "2:1: the file is empty → start with version: 1"),
        ("- version: 1", "1:1: the file holds a list; a policy is a mapping → start with version: 1"),
        ("version", "1:1: the file holds the text 'version'; a policy is a mapping → start with version: 1"),
        ("version: 1\n---\nversion: 1", "2:1: a second document begins → keep one policy in one file; remove the ---"),
        ("version: 1\nnaming:\n\tconvention: x", "3:1: is indented with a tab → indent with spaces"),
        ("version: 1\nmode: a\0", "2:8: has the character U+0000, which YAML does not allow → remove it"),
        ("version: 1\nmode: \ud800", "2:7: has the character U+D800, which YAML does not allow → remove it"),
        (
            "version: 1\nmode: *other",
            "2:7: *other names no anchor → put it in quotes if it is text; or mark what it should repeat with &other",
        ),
        ("version: &a\n  b: *a", "2:6: *a repeats what it is a part of → write the value out"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(text: str, told: str) -> None:
    assert problems(text) == [told]


@pytest.mark.parametrize("value", ["*", "*/api", "**/x", "*latest-*", "& x", "@x", "`x", "%x"])
def test_a_text_that_begins_with_what_has_a_meaning_is_told_to_need_quotes(value: str) -> None:
    told = f"a value begins with {value[0]}, which has a meaning of its own in YAML → put it in quotes if it is text"

    assert problems(f"version: 1\nowner_tag: {value}\nmode: audit\n") == [f"2:12: {told}"]
    assert problems(f"version: 1\nnaming: {{convention: a, ignore: [b, {value}]}}\n") == [f"2:37: {told}"]


@pytest.mark.parametrize(
    ("naming", "place", "mapping"),
    [
        ("\n  convention: {team}/{service}\n  ignore: [a/*]", "3:15", "{team}"),
        ("\n  convention: {team...}-x, y", "3:15", "{team...}"),
        ("\n  ignore:\n  - [team]/x", "4:5", "[team]"),
        (" {convention: {team}/{service}}", "2:22", "{team}"),
        (" {ignore: [{a}/b, c]}", "2:19", "{a}"),
    ],
)
def test_a_text_that_begins_with_a_bracket_is_told_to_need_quotes(naming: str, place: str, mapping: str) -> None:
    what = f"{'a list' if mapping[0] == '[' else 'a mapping'} ends behind {mapping}, and text goes on"

    assert problems(f"version: 1\nnaming:{naming}\n") == [f"{place}: is not YAML: {what} → put the whole text in quotes"]


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("end", ["mode: audit\n", "mode: audit", "---\nmode: audit\n"])
def test_an_open_quote_is_told_where_it_is(quote: str, end: str) -> None:
    assert problems(f"version: 1\nowner_tag: {quote}owner\n{end}") == [
        "2:12: is not YAML: a quote is opened here and not closed → close it"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exemptions: [{a: 1} {b: 2}]", "2:21: is not YAML: while parsing a flow sequence did not find expected ',' or ']'"),
        ("limits: {a: 1}\n  b: 2", "3:3: is not YAML: while parsing a block mapping did not find expected key"),
        ('owner_tag: "a" b', "2:16: is not YAML: while parsing a block mapping did not find expected key"),
        ('owner_tag: "\\q"', "2:13: is not YAML: while parsing a quoted scalar found unknown escape character"),
    ],
)
def test_what_is_no_text_without_quotes_is_told_as_the_parser_tells_it(text: str, told: str) -> None:
    assert problems(f"version: 1\n{text}\n") == [f"{told} → check indentation, colons and quotes in this line and the one before"]


NEWER = "use a release that reads it, on the deployed stack too; or write the file as version 1 has it"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("version: 2", f"1:10: version: version 2 is newer than this release, which reads version 1 → {NEWER}"),
        ("version: 0", "1:10: version: there is no version 0 of this format → write version: 1, the only one so far"),
        ("version: true", "1:10: version: True is no version of this format → write version: 1, the only one so far"),
        ('version: "1"', "1:10: version: '1' is no version of this format → write version: 1, the only one so far"),
        ("version: 1.0", "1:10: version: 1.0 is no version of this format → write version: 1, the only one so far"),
        ("version: [1]", "1:1: version: [1] is no version of this format → write version: 1, the only one so far"),
        ("mode: off", "1:1: version: version is missing → add version: The version of this format."),
    ],
)
def test_only_version_1_is_read(line: str, told: str) -> None:
    assert problems(line) == [told]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("nmaing: {}", [f"2:1: nmaing: unknown key 'nmaing' → did you mean naming? write one of {TOP}"]),
        ("zzz: {}", [f"2:1: zzz: unknown key 'zzz' → write one of {TOP}"]),
        (
            "mode: enfroce",
            ["2:7: mode: 'enfroce' is not one of the allowed values → did you mean enforce? write one of off, audit, enforce"],
        ),
        ("mode:", ["2:6: mode: has no value → write one of off, audit, enforce"]),
        ("mode: off\nmode: audit", ["3:1: the key 'mode' is there twice, first in line 2 → keep one of them"]),
        ("? [a, b]\n: 1", ["2:3: a key must be text → write the key out"]),
        ("<<: {mode: off}", ["2:1: merging by << is not supported → a namespace has what it leaves out from ROOT; write out the rest"]),
        ("mode: !!binary b2Zm", ["2:7: the YAML tag !!binary is not supported → write the plain value"]),
        ("mode: !!str enforce", ["2:7: the YAML tag !!str is not supported → write the plain value"]),
        ("mode: ! enforce", ["2:7: the YAML tag ! is not supported → write the plain value"]),
        ("rules: !!map {naming: audit}", ["2:8: the YAML tag !!map is not supported → write the plain value"]),
        ("exemptions: !!seq []", ["2:13: the YAML tag !!seq is not supported → write the plain value"]),
        ("!!str mode: audit", ["2:1: the YAML tag !!str is not supported → write the plain value"]),
        (
            "limits: {calls_per_second: !!int '5', pull_metrics: yes}",
            [
                "2:28: the YAML tag !!int is not supported → write the plain value",
                "2:53: limits.pull_metrics: must be true or false, not the text 'yes' → write true or false, without quotes",
            ],
        ),
        (
            "namespaces: {ROOT: {unused: !!map {}}}",
            [
                (
                    "2:29: namespaces.ROOT.unused.after: after is missing → add after: How long ago creation, last push and last pull must "
                    "be, for example 90d; a day is added for ECR's delay."
                ),
                "2:29: the YAML tag !!map is not supported → write the plain value",
            ],
        ),
        (
            "namespaces: {ROOT: {trusted_accounts: [!!str 123456789012]}}",
            ["2:40: the YAML tag !!str is not supported → write the plain value"],
        ),
        (
            "owner_tag: !prod/*",
            ["2:12: !prod/* is a YAML tag, which is not supported → put it in quotes, as a text that begins with ! needs them"],
        ),
        (
            "rules: {naming: !!python/object/apply:os.system [x]}",
            [
                "2:9: rules.naming: must be a mapping, not a list → write key: value below it, of mode, severity; or remove it",
                "2:17: the YAML tag !!python/object/apply:os.system is not supported → write the plain value",
            ],
        ),
        ("rules: {nmaing: off}", [f"2:9: rules.nmaing: there is no rule 'nmaing' → did you mean naming? write one of {RULES}"]),
        (
            "namespaces:\n  payments:\n    rules:\n      scaning: enforce\n      naming: {sev: low, mode: on}",
            [
                f"5:7: namespaces.payments.rules.scaning: there is no rule 'scaning' → did you mean scanning? write one of {RULES}",
                "6:16: namespaces.payments.rules.naming.sev: unknown key 'sev' → did you mean severity? write one of mode, severity",
                "6:32: namespaces.payments.rules.naming.mode: 'on' is not one of the allowed values → write one of off, audit, enforce",
            ],
        ),
        (
            "rules: {naming: {mode: audit, sev: low}}",
            [
                "2:31: rules.naming.sev: unknown key 'sev' → did you mean severity? write one of mode, severity",
            ],
        ),
        (
            "owner_tag: 'aws:owner'",
            [
                (
                    "2:12: owner_tag: 'aws:owner' is no tag key that AWS lets us set → use 1 to 128 letters, digits, spaces and _.:/=+-@, "
                    "not starting with aws:"
                ),
            ],
        ),
        ("owner_tag: 7", ["2:12: owner_tag: must be text, not the number 7 → put it in quotes"]),
        ("exemptions: {}", ["2:13: exemptions: must be a list, not a mapping → write - before each entry, or the entries in [ ]"]),
        (
            "notifications: {slack: {digest_above: 0}}",
            [
                "2:39: notifications.slack.digest_above: 0 is out of bounds → write a number of at least 1",
            ],
        ),
        (
            "templates: {custom_role_arn: platform}",
            [
                "2:30: templates.custom_role_arn: 'platform' is no role's ARN → write arn:aws:iam::ACCOUNT:role/NAME, a role of the registry's own account"
            ],
        ),
        ("limits: {calls_per_second: 0}", ["2:28: limits.calls_per_second: 0 is out of bounds → write a number of at least 1"]),
        (
            "limits: {calls_per_second: 1e9}",
            [
                "2:28: limits.calls_per_second: must be a whole number, not the number 1000000000.0 → write a whole number in digits, without quotes"
            ],
        ),
        (
            "limits: {pull_metrics: yes}",
            ["2:24: limits.pull_metrics: must be true or false, not the text 'yes' → write true or false, without quotes"],
        ),
        ("limits: {remedies_per_sweep: -1}", ["2:30: limits.remedies_per_sweep: -1 is out of bounds → write a number of at least 0"]),
        (
            "namespaces: {ROOT: {unused: {after: 90}}}",
            [
                (
                    "2:37: namespaces.ROOT.unused.after: 90 is no time span → write a number with m, h or d behind it, for example 24h; "
                    "at most 365d"
                ),
            ],
        ),
        (
            "namespaces: {ROOT: {unused: {}}}",
            [
                (
                    "2:29: namespaces.ROOT.unused.after: after is missing → add after: How long ago creation, last push and last pull must "
                    "be, for example 90d; a day is added for ECR's delay."
                ),
            ],
        ),
        (
            "notifications: {slack: {enabled: yes}}",
            ["2:34: notifications.slack.enabled: must be true or false, not the text 'yes' → write true or false, without quotes"],
        ),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_to_do(body: str, told: list[str]) -> None:
    assert problems(f"version: 1\n{body}") == told


@pytest.mark.parametrize(
    ("naming", "told"),
    [
        ("{}", "2:9: naming.convention: convention is missing → add convention: Literal text and {segments}"),
        ('{convention: "service"}', "names no {segment}, so a single name would be allowed in the whole registry"),
        ('{convention: "{team"}', "opens {team and never closes it"),
        ('{convention: "{Team}/{x}"}', "has the segment {Team}; a segment's name is made of a-z, 0-9, _ and -, a letter first"),
        ('{convention: "{origin}/{x}"}', "{origin} has a meaning of its own in required_tags → give the segment another name"),
        ('{convention: "{team}{service}"}', "needs text between {team} and {service}; where one ends could not be told"),
        ('{convention: "{a...}/{b...}"}', "has two {segments...} that may span path parts; where one ends could not be told"),
        ('{convention: "{a}/{a}"}', "uses {a} twice; a segment has one value"),
        ('{convention: "Team/{a}"}', "has the text 'Team/'; ECR's names are made of a-z, 0-9 and . _ - /"),
        (
            '{convention: "{team}/{service}", segments: {taem: [a]}}',
            "the convention {team}/{service} has no segment {taem} → did you mean team? write one of team, service, or remove it",
        ),
        (
            '{convention: "{team}", segments: {team: {regex: "a(?!b)"}}}',
            (
                "naming.segments.team.regex: the expression 'a(?!b)' cannot be used: RE2 has no look-around ((?!) → "
                "say what the value may be, not what must stand beside it"
            ),
        ),
        (
            '{convention: "{team}", segments: {team: {regex: "(a)\\\\1"}}}',
            "RE2 has no back-references (\\1) → write it without: every match must be decidable in one pass",
        ),
        ('{convention: "{team}", segments: {team: {regex: "["}}}', "RE2 refuses it: missing ]: ["),
        ('{convention: "{team}", segments: {team: {glob: a, regex: b}}}', "glob and regex exclude each other → keep one of them"),
        ('{convention: "{team}", segments: {team: {}}}', "says nothing → give one of one_of, glob or regex"),
        ('{convention: "{team}", segments: {team: []}}', "naming.segments.team.one_of: is empty → write at least one, or remove it"),
        ('{convention: "{team}", segments: {team: [1]}}', "must be text, not the number 1 → put it in quotes"),
    ],
)
def test_a_convention_that_cannot_be_used_is_explained(naming: str, told: str) -> None:
    found = problems(f"version: 1\nnaming: {naming}")

    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("root", "told"),
    [
        (
            "trusted_accounts: [012345678901]",
            ["4:24: namespaces.ROOT.trusted_accounts[0]: must be text, not the number 12345678901 → put it in quotes"],
        ),
        (
            'trusted_accounts: ["12"]',
            ["4:24: namespaces.ROOT.trusted_accounts[0]: '12' is no AWS account id → write its twelve digits, in quotes"],
        ),
        (
            "trusted_organizations: [o-x]",
            [
                (
                    "4:29: namespaces.ROOT.trusted_organizations[0]: 'o-x' is no AWS organization id → write it as o-exampleorgid: "
                    "o- and 10 to 32 letters and digits"
                )
            ],
        ),
        (
            "tag_mutability: {mode: IMMUTABLE, except: [latest]}",
            [
                (
                    "4:39: namespaces.ROOT.tag_mutability.except: IMMUTABLE has no exclusions → write mode: IMMUTABLE_WITH_EXCLUSION, "
                    "or remove except"
                )
            ],
        ),
        (
            "tag_mutability: {mode: IMMUTABLE, except: ['bad!', latest, 'a b']}",
            [
                "4:39: namespaces.ROOT.tag_mutability.except: IMMUTABLE has no exclusions → write mode: IMMUTABLE_WITH_EXCLUSION, or remove except",
                "4:48: namespaces.ROOT.tag_mutability.except[0]: 'bad!' is no tag filter of ECR's → use 1 to 128 of 0-9 a-z A-Z . _ - and *",
                "4:64: namespaces.ROOT.tag_mutability.except[2]: 'a b' is no tag filter of ECR's → use 1 to 128 of 0-9 a-z A-Z . _ - and *",
            ],
        ),
        (
            "tag_mutability: IMMUTABLE_WITH_EXCLUSION",
            [
                (
                    "4:21: namespaces.ROOT.tag_mutability: IMMUTABLE_WITH_EXCLUSION needs to know which tags are excluded → "
                    'add for example except: ["latest"]'
                )
            ],
        ),
        (
            "tag_mutability: {mode: IMMUTABLE_WITH_EXCLUSION, except: [a, b, c, d, e, f]}",
            ["4:54: namespaces.ROOT.tag_mutability.except: is too long; at most 5 are allowed → keep 5 or fewer"],
        ),
        (
            "scan_frequency: DAILY",
            [
                (
                    "4:21: namespaces.ROOT.scan_frequency: 'DAILY' is not one of the allowed values → write one of SCAN_ON_PUSH, "
                    "CONTINUOUS_SCAN, MANUAL"
                )
            ],
        ),
        (
            "encryption: {type: AES256, kms_key: 'arn:aws:kms:eu-west-1:123456789012:key/1-2'}",
            ["4:41: namespaces.ROOT.encryption.kms_key: AES256 takes no key → write type: KMS, or remove kms_key"],
        ),
        (
            "encryption: {type: KMS, kms_key: alias/mine}",
            [
                (
                    "4:38: namespaces.ROOT.encryption.kms_key: 'alias/mine' is no KMS key ARN → write arn:aws:kms:REGION:ACCOUNT:key/ID; "
                    "ECR stores the key's ARN, not an alias"
                )
            ],
        ),
        (
            "required_tags: {owner: {set: '{pushr}'}}",
            ["4:34: namespaces.ROOT.required_tags.owner.set: nothing is known by the name {pushr} → use one of {origin}, {pusher}"],
        ),
        (
            "required_tags: {owner: {set: nobody, one_of: [a, b]}}",
            ["4:34: namespaces.ROOT.required_tags.owner.set: would set 'nobody', which is not one of a, b → set a value that is allowed"],
        ),
        (
            "auto_created: {grace: 1w}",
            [
                (
                    "4:27: namespaces.ROOT.auto_created.grace: '1w' is no time span → write a number with m, h or d behind it, "
                    "for example 24h; at most 365d"
                )
            ],
        ),
        (
            "auto_created: {allowed: [api]}",
            [
                (
                    "4:30: namespaces.ROOT.auto_created.allowed[0]: 'api' is not one of the allowed values → write one of create_on_push, "
                    "pull_through_cache, replication"
                )
            ],
        ),
        ("image_tags: []", ["4:17: namespaces.ROOT.image_tags: is empty → write at least one, or remove it"]),
    ],
)
def test_a_setting_that_ecr_would_not_take_is_a_problem(root: str, told: list[str]) -> None:
    assert problems(f"version: 1\nnamespaces:\n  ROOT:\n    {root}") == told


@pytest.mark.parametrize("grace", ["0h", "-1h", "366d", "h", "1", "1.5h", "24 h", "\uff19h", "99999999h"])
def test_a_grace_period_is_a_positive_number_with_a_unit(grace: str) -> None:
    assert "is no time span" in problems(f"version: 1\nnamespaces: {{ROOT: {{auto_created: {{grace: '{grace}'}}}}}}")[0]


def test_documents_are_checked_down_to_the_line_of_the_fault() -> None:
    text = """\
version: 1
namespaces:
  payments:
    lifecycle_policy:
      rules:
        - rulePriority: 1
          selection:
            tagStatus: untagged
            countTpye: sinceImagePushed
            countNumber: 0
          action: {type: expire}
    repository_policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {AWS: 123456789012}
          Action: s3:GetObject
          Resource: "*"
"""
    assert problems(text) == [
        (
            "7:11: namespaces.payments.lifecycle_policy.rules[0].selection.countType: countType is missing → write one of "
            "imageCountMoreThan, sinceImagePushed, sinceImagePulled, sinceImageTransitioned"
        ),
        (
            "9:13: namespaces.payments.lifecycle_policy.rules[0].selection.countTpye: unknown key 'countTpye' → did you mean countType? "
            "write one of tagStatus, tagPatternList, tagPrefixList, storageClass, countType, countUnit, countNumber"
        ),
        "10:26: namespaces.payments.lifecycle_policy.rules[0].selection.countNumber: must be a whole number above 0 → write for example countNumber: 14",
        (
            "15:11: namespaces.payments.repository_policy.Statement[0].Sid: every statement needs a Sid → statements are merged by it, "
            "so that others stay as they are"
        ),
        (
            "16:28: namespaces.payments.repository_policy.Statement[0].Principal.AWS: must be text or a list of texts → put account ids "
            "in quotes"
        ),
        (
            "17:19: namespaces.payments.repository_policy.Statement[0].Action: 's3:GetObject' is no action of ECR's → for example "
            "ecr:BatchGetImage"
        ),
        (
            "18:21: namespaces.payments.repository_policy.Statement[0].Resource: ECR refuses Resource in a repository policy → remove it; "
            "the policy is the repository's own"
        ),
    ]


def test_namespaces_are_prefixes_that_ecr_takes() -> None:
    assert problems("version: 1\nnamespaces: {Payments: {}, 'a*': {}, pay/: {}, pay: {}, /x: {}}") == [
        (
            "2:14: namespaces.Payments: 'Payments' is neither ROOT nor a prefix of ECR repository names → write whole path parts in lower "
            "case, for example payments or payments/web"
        ),
        (
            "2:28: namespaces.a*: 'a*' is neither ROOT nor a prefix of ECR repository names → write whole path parts in lower case, "
            "for example payments or payments/web"
        ),
        "2:38: namespaces.pay/: pay/ stands there without its slash as well → keep one",
        (
            "2:57: namespaces./x: '/x' is neither ROOT nor a prefix of ECR repository names → write whole path parts in lower case, "
            "for example payments or payments/web"
        ),
    ]
    assert problems("version: 1\nnamespaces: {pay/: {}, pay: {}}") == [
        "2:14: namespaces.pay/: pay/ stands there without its slash as well → keep one"
    ]


def test_an_exemption_says_why_for_whom_and_until_when() -> None:
    text = """\
version: 1
exemptions:
  - match: "legacy/*"
    rules: [namig, "*"]
    reason: because
    owner: " "
    expires: 2027-02-30
  - match: ""
    rules: []
"""
    assert problems(text) == [
        f"4:13: exemptions[0].rules[0]: there is no rule 'namig' → did you mean naming? write one of {RULES}",
        "5:13: exemptions[0].reason: a reason of less than 10 characters explains nothing → say why, so that the next reader can judge it",
        "6:12: exemptions[0].owner: is empty → name a person or a team",
        "7:14: exemptions[0].expires: '2027-02-30' is no date of the calendar → write it as YEAR-MONTH-DAY, for example 2027-01-31",
        "8:5: exemptions[1].expires: expires is missing → add expires: The last day on which it holds, in UTC.",
        "8:5: exemptions[1].owner: owner is missing → add owner: Who answers for it.",
        "8:5: exemptions[1].reason: reason is missing → add reason: Why, in at least 10 characters.",
        "8:12: exemptions[1].match: is empty → write a text",
        "9:12: exemptions[1].rules: is empty → write at least one",
    ]


@pytest.mark.parametrize("rules", ["7", "[7]"])
def test_the_rules_of_an_exemption_are_asked_for_as_text_whether_one_or_several(rules: str) -> None:
    text = f"version: 1\nexemptions: [{{match: a, rules: {rules}, reason: long enough for it, owner: me, expires: 2027-01-31}}]"

    assert problems(text) == [f"2:{32 + len(rules) // 3}: exemptions[0].rules[0]: must be text, not the number 7 → put it in quotes"]


@pytest.mark.parametrize("day", ["20270131", "2027-W05-1", "31.1.2027", "2027-01-31T00:00:00", "1800000000", "tomorrow"])
def test_a_day_has_one_spelling(day: str) -> None:
    text = f"version: 1\nexemptions: [{{match: a, rules: '*', reason: long enough for it, owner: me, expires: {day}}}]"

    assert "is no date of the calendar" in problems(text)[0]


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = """\
version: 3
mode: enfroce
naming:
  convention: "{team}/{service}"
  segments:
    taem: [a]
    team: {regex: "(?=a)"}
namespaces:
  Payments: {scan_frequency: x}
  ROOT: {tag_mutability: y, encryption: KMS2}
rules:
  nmaing: offf
exemptions: [{}]
exemptions: []
"""
    lines = [int(problem.split(":")[0]) for problem in problems(text)]

    assert lines == sorted(lines)
    assert set(lines) == {1, 2, 6, 7, 9, 10, 12, 13, 14}
    assert len(lines) == 16


def test_what_compares_keys_of_a_section_is_told_beside_faults_of_the_same_section() -> None:
    text = """\
version: 1
namespaces:
  ROOT:
    retirement: {after_days: x, quarantine_days: 1, archive_days: 0, then: archive}
    tag_mutability: {mode: IMMUTABLE, except: [latest], also: 1}
    required_tags: {owner: {glob: a, regex: b, also: 1}}
    lifecycle_policy:
      rules:
        - {rulePriority: 1, selection: {tagStatus: untagged, countType: imageCountMoreThan, countNumber: 0}, action: {type: expire}}
        - {rulePriority: 2, selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 5}, action: {type: expire}}
        - {rulePriority: 3, selection: {tagStatus: untagged, countType: imageCountMoreThan, countNumber: 5}, action: {type: expire}}
  search/: {}
  search: {}
notifications: {slack: {digest_above: 0, routes: [{mention: nobody}, {}]}}
retirement: {stop: 1, window: {days: [], from_hour: 5, until_hour: 3}, sources: []}
"""
    places = [problem.split(": ")[:2] for problem in problems(text)]

    assert [(int(place.split(":")[0]), path.removeprefix("namespaces.ROOT.")) for place, path in places] == [
        (4, "retirement.after_days"),
        (4, "retirement.quarantine_days"),
        (4, "retirement.archive_days"),
        (5, "tag_mutability.except"),
        (5, "tag_mutability.also"),
        (6, "required_tags.owner"),
        (6, "required_tags.owner.also"),
        (9, "lifecycle_policy.rules[0].selection.countNumber"),
        (10, "lifecycle_policy.rules[1].rulePriority"),
        (11, "lifecycle_policy.rules[2].selection.tagStatus"),
        (12, "namespaces.search/"),
        (14, "notifications.slack.digest_above"),
        (14, "notifications.slack.routes[0]"),
        (14, "notifications.slack.routes[0].mention"),
        (14, "notifications.slack.routes[1]"),
        (14, "notifications.slack.routes[1].channel"),
        (15, "retirement.stop"),
        (15, "retirement.window.days"),
        (15, "retirement.window.until_hour"),
        (15, "retirement.sources"),
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("notifications: {slack: {routes: [{owner: a, channel: x}]}}", ["notifications.slack.routes[0].channel"]),
        ("notifications: {slack: {routes: [{owner: 5, channel: C0123456789}]}}", ["notifications.slack.routes[0].owner"]),
        ("naming: {convention: '{a}', segments: {a: {regex: '['}}}", ["naming.segments.a.regex"]),
        ("namespaces: {ROOT: {image_tags: {regex: '['}}}", ["namespaces.ROOT.image_tags[0].regex"]),
        ("namespaces: {ROOT: {image_tags: [{regex: '['}, 5]}}", ["namespaces.ROOT.image_tags[0].regex", "namespaces.ROOT.image_tags[1]"]),
        (
            "namespaces: {ROOT: {tag_mutability: {mode: IMMUTABLE_WITH_EXCLUSION, except: ['a b']}}}",
            ["namespaces.ROOT.tag_mutability.except[0]"],
        ),
        (
            "namespaces: {ROOT: {unused: {after: x}, encryption: {type: x}}}",
            ["namespaces.ROOT.unused.after", "namespaces.ROOT.encryption.type"],
        ),
        ("namespaces: {ROOT: {retirement: {quarantine_days: x, then: delete}}}", ["namespaces.ROOT.retirement.quarantine_days"]),
        (
            "notifications: {slack: {routes: [{channel: C0123456789, tags: {team: 5}}]}}",
            ["notifications.slack.routes[0].tags.team"],
        ),
        ("notifications: {slack: {routes: [{channel: C0123456789, tags: {'': x}}]}}", ["notifications.slack.routes[0].tags."]),
        (
            "exemptions: [&e {match: a, rules: '*', reason: moves with the cluster, owner: me, expires: never}, *e]",
            ["exemptions[0].expires", "exemptions[1].expires"],
        ),
    ],
)
def test_a_fault_is_not_told_again_by_what_it_leaves_out(body: str, told: list[str]) -> None:
    assert [problem.split(": ")[1] for problem in problems(f"version: 1\n{body}")] == told


@pytest.mark.parametrize(
    ("namespaces", "told"),
    [
        (
            "a: {unused: {afterr: 90d}, retirement: {quarantine_days: 1, foo: 2}}",
            ["a.unused.after", "a.unused.afterr", "a.retirement.quarantine_days", "a.retirement.foo"],
        ),
        (
            "a: {tag_mutability: {except: ['bad!'], foo: 1, mod: X}}, b: {tag_mutability: {mode: IMMUTABLE, except: [x], foo: 1}}",
            [
                "a.tag_mutability.mode",
                "a.tag_mutability.except[0]",
                "a.tag_mutability.foo",
                "a.tag_mutability.mod",
                "b.tag_mutability.except",
                "b.tag_mutability.foo",
            ],
        ),
    ],
)
def test_several_faults_of_one_part_do_not_hide_those_of_the_parts_around_it(namespaces: str, told: list[str]) -> None:
    places = [problem.split(": ")[1].removeprefix("namespaces.") for problem in problems(f"version: 1\nnamespaces: {{{namespaces}}}")]

    assert sorted(places) == sorted(told)


def test_a_rule_whose_key_has_no_value_is_refused_beside_another_faulty_one() -> None:
    text = """\
version: 1
namespaces:
  ROOT:
    lifecycle_policy:
      rules:
        - {rulePriority: 1, selection: {tagStatus: untagged, countType: imageCountMoreThan, countNumber: 0}, action: {type: expire}}
        - rulePriority: 2
          selection: {tagStatus: any, tagPatternList: null, countType: imageCountMoreThan, countNumber: 5}
          action: {type: expire}
"""
    assert [problem.split(":")[0] for problem in problems(text)] == ["6", "8"]


@pytest.mark.parametrize("setting", ["lifecycle_policy", "repository_policy"])
def test_a_misspelt_reference_to_a_file_is_no_document_that_lacks_all(setting: str) -> None:
    assert problems(f"version: 1\nnamespaces: {{ROOT: {{{setting}: {{fiel: a.json}}}}}}") == [
        (
            f"2:{len(setting) + 24}: namespaces.ROOT.{setting}.fiel: unknown key 'fiel' → did you mean file? write {{file: a.json}}, "
            "or the document itself"
        )
    ]


@pytest.mark.parametrize("text", ['{"rules": []}', "a\\nb", "x" * 101, ""])
@pytest.mark.parametrize(("setting", "key"), [("lifecycle_policy", "LifecyclePolicyText"), ("repository_policy", "PolicyText")])
def test_a_document_as_a_text_is_not_taken_for_the_path_of_a_file(setting: str, key: str, text: str) -> None:
    quoted = f"'{text}'" if text.startswith("{") else f'"{text}"'

    assert problems(f"version: 1\nnamespaces: {{ROOT: {{{setting}: {{{key}: {quoted}}}}}}}") == [
        f"2:{len(setting) + 24}: namespaces.ROOT.{setting}.{key}: unknown key {key!r} → write the document itself, not as text"
    ]


def test_bytes_must_be_utf_8() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_bytes(b"version: 1\nmode: \xff\xfe", "p.yaml")

    assert str(caught.value) == "p.yaml:2:7: is not UTF-8 text → save the file as UTF-8"


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert load_bytes(b"\xef\xbb\xbfversion: 1\r\nmode: off\r\n", "p.yaml").mode is Mode.OFF


def test_a_file_beyond_the_limit_is_not_read() -> None:
    with pytest.raises(PolicyInvalid, match=f"is larger than {MAX_BYTES} bytes"):
        load_bytes(b"#" * (MAX_BYTES + 1), "p.yaml")
    with pytest.raises(PolicyInvalid, match=f"more than {MAX_BYTES} are not read"):
        load("#" * (MAX_BYTES + 1), "p.yaml")


def test_aliases_repeat_a_value() -> None:
    text = "version: 1\nnamespaces:\n  a: &x {scan_frequency: MANUAL}\n  b: *x\n"

    assert load(text, "p.yaml").namespaces["b"].scan_frequency == "MANUAL"


def test_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]

    assert problems("\n".join(lines))[0].endswith(
        "the file has more than 20000 values, aliases counted in full → take out what is repeated"
    )


@pytest.mark.parametrize("deep", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000])
def test_depth_is_limited(deep: str) -> None:
    assert f"is nested more than {MAX_DEPTH} levels deep" in problems(deep)[0]


def told(text: str) -> tuple[Problem, ...]:
    try:
        load(text, "p.yaml")
    except PolicyInvalid as invalid:
        return invalid.problems
    return ()


@settings(max_examples=50)
@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1")), st.text(alphabet="{}[]:,-&*!|>'\"%@` \n\tavx1")))
def test_no_text_does_anything_but_load_or_explain(text: str) -> None:
    assert all(problem.line >= 1 and problem.column >= 1 and problem.what and problem.do for problem in told(text))


ANY_VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet="ab{}*/.-:", max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([
    "mode", "naming", "namespaces", "owner_tag", "rules", "exemptions", "templates", "limits", "notifications",
])  # fmt: skip


@settings(max_examples=50)
@given(st.dictionaries(KEYS, ANY_VALUE, max_size=4))
def test_no_content_of_a_section_does_anything_but_load_or_explain(sections: dict[str, object]) -> None:
    assert all(problem.line == 1 and problem.what and problem.do for problem in told(json.dumps({"version": 1, **sections})))


SOUND: dict[str, object] = {
    "version": 1,
    "naming": {"convention": "{team}/{path...}", "segments": {"team": ["a"]}},
    "namespaces": {
        name: {
            "lifecycle_policy": {
                "rules": [
                    {
                        "rulePriority": 1,
                        "selection": {"tagStatus": "tagged", "tagPatternList": ["v*"], "countType": "imageCountMoreThan", "countNumber": 9},
                        "action": {"type": "expire"},
                    },
                    {
                        "rulePriority": 2,
                        "selection": {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 9},
                        "action": {"type": "expire"},
                    },
                ]
            },
            "repository_policy": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Sid": "a", "Effect": "Allow", "Principal": {"AWS": ["123456789012"]}, "Action": ["ecr:GetRepositoryPolicy"]}
                ],
            },
            "tag_mutability": {"mode": "IMMUTABLE_WITH_EXCLUSION", "except": ["latest"]},
            "required_tags": {"owner": {"regex": "[a-z]+", "set": "{team}"}},
            "retirement": {"quarantine_days": 7, "then": "delete"},
            "rules": {"naming": {"mode": "audit"}},
        }
        for name in ("ROOT", "a")
    },
    "exemptions": [{"match": "a/*", "rules": ["naming"], "reason": "moves with the cluster", "owner": "me", "expires": "2027-01-31"}],
    "notifications": {"slack": {"routes": [{"channel": "C0123456789", "tags": {"team": "x"}}]}},
}
FAULTS = st.sampled_from([None, 0, True, "", "x", "any", [], [None], {}, {"x": 1}, {"file": "a.json"}, 1.5])


def paths_of(content: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [*([at] if at else []), *(path for key, value in below for path in paths_of(value, (*at, key)))]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(paths_of(SOUND)), FAULTS, st.booleans()), min_size=2, max_size=3))
def test_no_faults_of_a_sound_file_do_anything_but_load_or_explain(faults: list[tuple[tuple[str | int, ...], object, bool]]) -> None:
    content = json.loads(json.dumps(SOUND))
    for (*above, key), value, beside in faults:
        holder: object = content
        for step in above:
            holder = holder[step] if (isinstance(holder, dict) and step in holder) or (isinstance(holder, list) and holder) else None
        if isinstance(holder, dict):
            holder["other" if beside else key] = value
        elif isinstance(holder, list):
            holder[:] = [value]
    assert all(problem.what and problem.do for problem in told(json.dumps(content)))
