"""What a policy file says in vain or by mistake is told with its line, exactly."""

import json
from datetime import UTC, datetime
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.documents.names import is_template_prefix
from ecr_governor.core.policy import lint
from ecr_governor.core.policy.lint import CHECKS, Level, exemptions, lifecycles, names, refusals, remarks
from ecr_governor.core.policy.lint.languages import NAMES, Language
from ecr_governor.core.policy.lint.remark import Remark
from ecr_governor.core.policy.load import PolicyInvalid, load_bytes, read
from ecr_governor.core.policy.model import Exemption
from ecr_governor.core.policy.yaml_text import MAX_NODES

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def found(text: str, region: str | None = None) -> tuple[Remark, ...]:
    return remarks(read("version: 1\n" + dedent(text), "policy.yaml"), NOW, region)


def told(text: str, region: str | None = None) -> list[str]:
    return [
        f"{each.line}:{each.column}: {each.level} [{each.code}] {each.path}: {each.what}" + (f" → {each.do}" if each.do else "")
        for each in found(text, region)
    ]


CASES: dict[str, tuple[str, list[str]]] = {
    "a convention ends in a dash": (
        """
        naming:
          convention: "{team}/{service}-"
        """,
        [
            "4:15: error [naming-impossible] naming.convention: no repository name keeps {team}/{service}- → ECR's names begin and end with a letter or digit, and . _ - / stand between them; change the text between the segments",
        ],
    ),
    "a segment is in upper case": (
        """
        naming:
          convention: "{team}/{service}"
          segments:
            team: [Payments, SEARCH]
            service: {regex: "[a-z]+"}
        """,
        [
            "6:5: error [naming-impossible] naming.segments.team: {team} must be one of Payments, SEARCH, and nothing in a repository name is → ECR's names are made of a-z, 0-9 and single . _ - / between them; allow some of that",
        ],
    ),
    "an expression wants what no name has": (
        """
        naming:
          convention: "{service}"
          segments: {service: {regex: "v@.+"}}
        """,
        [
            "5:14: error [naming-impossible] naming.segments.service: {service} must be like the expression v@.+, and nothing in a repository name is → ECR's names are made of a-z, 0-9 and single . _ - / between them; allow some of that",
        ],
    ),
    "a name would be too long": (
        """
        naming:
          convention: "{team}/{service}"
          segments: {service: {regex: "[a-z]{255}"}}
        """,
        [
            "4:15: error [naming-impossible] naming.convention: the shortest name that keeps {team}/{service} has 257 characters; ECR's names have 256 at most → allow shorter segments",
        ],
    ),
    "entries that no name can have": (
        """
        naming:
          convention: "{stage}-{team}/{service}"
          segments:
            stage: [dev, prod-, "pro d"]
            team:
              one_of: [payments, Search, a/b]
        """,
        [
            "6:25: warning [naming-entry-impossible] naming.segments.stage.one_of[2]: no repository name can have 'pro d' for {stage} → write it as it stands in the names: a-z, 0-9 and single . _ - between them",
            "8:26: warning [naming-entry-impossible] naming.segments.team.one_of[1]: no repository name can have 'Search' for {team} → write it as it stands in the names: a-z, 0-9 and single . _ - between them",
            "8:34: warning [naming-entry-impossible] naming.segments.team.one_of[2]: no repository name can have 'a/b' for {team} → write it as it stands in the names: a-z, 0-9 and single . _ - between them",
        ],
    ),
    "globs that leave out nothing, or everything": (
        """
        naming:
          convention: "{team}/{service}"
          ignore: ["Docker-Hub/*", "**", "docker-hub/*"]
        """,
        [
            "5:12: warning [naming-ignores-nothing] naming.ignore[0]: no repository name is like 'Docker-Hub/*' → ECR's names are made of a-z, 0-9 and single . _ - / between them; correct it, or remove it",
            "5:28: warning [naming-ignores-everything] naming.ignore[1]: '**' is every name → name the prefix that is meant, as in docker-hub/*",
        ],
    ),
    "namespaces in which no name can be": (
        """
        naming:
          convention: "{team}/{tier}/{service}"
          segments:
            team: [payments, search]
            tier: [web, api]
          ignore: ["docker-hub/*"]
        namespaces:
          ROOT: {scan_frequency: MANUAL}
          paymets: {scan_frequency: SCAN_ON_PUSH}
          payments/: {scan_frequency: SCAN_ON_PUSH}
          payments/web: {scan_frequency: SCAN_ON_PUSH}
          payments/api: {scan_frequency: SCAN_ON_PUSH}
          search: {scan_frequency: SCAN_ON_PUSH}
          search/web: {scan_frequency: SCAN_ON_PUSH}
          docker-hub: {scan_frequency: MANUAL}
          legacy: {scan_frequency: MANUAL}
        exemptions:
          - {match: "legacy/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2027-01-31}
        """,
        [
            '11:3: warning [namespace-unreachable] namespaces.paymets: no name that keeps {team}/{tier}/{service} is below it → correct the prefix, or add "paymets/*" to naming.ignore',
            "12:3: warning [namespace-unreachable] namespaces.payments/: every allowed name below it is in payments/api and payments/web → remove it, or one of the longer prefixes",
        ],
    ),
    "a prefix behind which no name can go on": (
        """
        naming:
          convention: "{team}/{path...}"
          segments: {path: [api, "sub/-x"]}
        namespaces:
          payments/sub: {scan_frequency: MANUAL}
        """,
        [
            "5:26: warning [naming-entry-impossible] naming.segments.path.one_of[1]: no repository name can have 'sub/-x' for {path...} → write it as it stands in the names: a-z, 0-9 and single . _ - between them",
            '7:3: warning [namespace-unreachable] namespaces.payments/sub: no name that keeps {team}/{path...} is below it → correct the prefix, or add "payments/sub/*" to naming.ignore',
        ],
    ),
    "a prefix that leaves no room": (
        """
        namespaces:
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {scan_frequency: MANUAL}
        """,
        [
            "4:3: warning [namespace-unreachable] namespaces.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: a name below this prefix has at least 257 characters; ECR's names have 256 at most → shorten the prefix, or remove it",
        ],
    ),
    "exemptions in vain, over, soon over, for ever": (
        """
        naming: {convention: "{team}/{service}"}
        rules: {unused: off}
        exemptions:
          - {match: "Legacy/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2027-01-31}
          - {match: "a/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2026-11-20}
          - {match: "b/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2026-11-22}
          - {match: "c/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2026-11-23}
          - {match: "d/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2026-11-24}
          - {match: "e/*", rules: naming, reason: moves with the cluster, owner: me, expires: 2031-12-31}
          - {match: "f/*", rules: [unused, encryption, naming], reason: moves with the cluster, owner: me, expires: 2027-01-31}
        """,
        [
            "6:13: warning [exemption-matches-nothing] exemptions[0].match: no repository name is like 'Legacy/*' → ECR's names are made of a-z, 0-9 and single . _ - / between them; correct it, or remove the exemption",
            "7:87: warning [exemption-expired] exemptions[1].expires: ended 3 days ago, after 2026-11-20 → remove it; or, if its reason still holds, give it a new day",
            "8:87: warning [exemption-expired] exemptions[2].expires: ended yesterday, after 2026-11-22 → remove it; or, if its reason still holds, give it a new day",
            "9:87: warning [exemption-expired] exemptions[3].expires: ended today, after 2026-11-23 → remove it; or, if its reason still holds, give it a new day",
            "10:87: note [exemption-ends-soon] exemptions[4].expires: ends after 2026-11-24; me answers for it → see to it that the reason is gone by then, or give it a new day",
            "11:87: warning [exemption-for-ever] exemptions[5].expires: lasts until 2031-12-31 → name a day within a year; or change the policy, if it asks too much",
            "12:28: warning [exemption-of-nothing] exemptions[6].rules[0]: the rule unused is off → remove it from the exemption",
            "12:36: warning [exemption-of-nothing] exemptions[6].rules[1]: nothing is asked for by the rule encryption in ROOT → remove it from the exemption",
        ],
    ),
    "templates that are not for every team": (
        """
        naming: {convention: "{team}/{service}", segments: {team: [payments, search, platform]}}
        namespaces:
          ROOT: {auto_created: {allowed: [create_on_push]}}
          payments: {}
        templates: {custom_role_arn: "arn:aws:iam::123456789012:role/ecr-creation"}
        """,
        [
            "7:1: note [templates-refuse] templates: the convention allows search/…, platform/…, and a push there is refused: no namespace is for it → add the namespaces `search: {}`, `platform: {}`",
        ],
    ),
    "an exemption that names a rule twice": (
        """
        naming: {convention: "{team}/{service}"}
        exemptions:
          - {match: "a/*", rules: [naming, naming], reason: moves with the cluster, owner: me, expires: 2027-01-31}
          - {match: "b/*", rules: ["*", naming, "*"], reason: moves with the cluster, owner: me, expires: 2027-01-31}
        """,
        [
            "5:36: warning [exemption-rule-twice] exemptions[0].rules[1]: naming stands there already → name it once",
            "6:33: warning [exemption-rule-twice] exemptions[1].rules[1]: * stands for naming as well → name one of the two",
            "6:41: warning [exemption-rule-twice] exemptions[1].rules[2]: * stands there already → name it once",
        ],
    ),
    "an exemption that others cover": (
        """
        namespaces: {ROOT: {scan_frequency: MANUAL}}
        exemptions:
          - {match: "a/b*", rules: scanning, reason: moves with the cluster, owner: me, expires: 2027-01-31}
          - {match: "a/*", rules: "*", reason: moves with the cluster, owner: me, expires: 2027-01-31}
          - {match: "a/*", rules: "*", reason: moves with the cluster, owner: me, expires: 2027-01-31}
          - {match: "a/*", rules: "*", reason: moves with the cluster, owner: me, expires: 2027-02-28}
          - {match: "a/?", rules: scanning, reason: moves with the cluster, owner: me, expires: 2027-01-31}
        """,
        [
            "5:5: warning [exemption-redundant] exemptions[0]: the exemption of 'a/*' covers it and lasts until 2027-01-31 → keep one of them",
            "6:5: warning [exemption-redundant] exemptions[1]: the exemption of 'a/*' covers it and lasts until 2027-02-28 → keep one of them",
            "7:5: warning [exemption-redundant] exemptions[2]: the exemption of 'a/*' covers it and lasts until 2027-01-31 → keep one of them",
        ],
    ),
    "rules without effect": (
        """
        rules:
          encryption: enforce
          scanning: {severity: low}
          naming: off
          required-tags: enforce
        namespaces: {ROOT: {required_tags: {owner: {}}}}
        """,
        [
            "4:3: warning [rule-asks-nothing] rules.encryption: no namespace asks for anything that encryption judges → say in a namespace what is expected, or remove the rule's setting",
            "4:15: warning [rule-has-no-remedy] rules.encryption.mode: encryption has nothing to put right by → write audit; what can be put right is judged by lifecycle-policy, repository-policy, required-tags and tag-mutability",
            "5:3: warning [rule-asks-nothing] rules.scanning: no namespace asks for anything that scanning judges → say in a namespace what is expected, or remove the rule's setting",
            "7:18: warning [rule-held-back] rules.required-tags.mode: required-tags goes no farther than mode, which is audit → write mode: enforce at the top, and hold other rules back by audit",
        ],
    ),
    "rules of namespaces without effect": (
        """
        mode: enforce
        naming: {convention: "{team}/{service}"}
        rules: {tag-mutability: audit, naming: {severity: high}, scanning: off}
        namespaces:
          ROOT:
            tag_mutability: IMMUTABLE
            rules: {naming: {severity: low}, tag-mutability: {severity: medium}}
          a:
            scan_frequency: MANUAL
            rules:
              tag-mutability: audit
              naming: {mode: enforce, severity: low}
              scanning: {severity: low}
              encryption: {mode: audit, severity: high}
              repository-policy: {}
              required-tags: off
          b/: {rules: {scanning: enforce, repository-policy: audit, tag-mutability: enforce}}
        """,
        [
            "5:51: warning [rule-without-effect] rules.naming.severity: counts nowhere: ROOT says low, for every namespace that says nothing → remove one of the two",
            "9:65: warning [rule-without-effect] namespaces.ROOT.rules.tag-mutability.severity: tag-mutability is medium in ROOT anyway → remove it, or write what is to be otherwise",
            "13:23: warning [rule-without-effect] namespaces.a.rules.tag-mutability.mode: tag-mutability is audit in a anyway → remove it, or write what is to be otherwise",
            "14:22: warning [rule-has-no-remedy] namespaces.a.rules.naming.mode: naming has nothing to put right by → write audit; what can be put right is judged by lifecycle-policy, repository-policy, required-tags and tag-mutability",
            "14:41: warning [rule-without-effect] namespaces.a.rules.naming.severity: naming is low in a anyway → remove it, or write what is to be otherwise",
            "15:28: warning [rule-without-effect] namespaces.a.rules.scanning.severity: scanning is off in a → remove it, or turn the rule on",
            "16:7: warning [rule-asks-nothing] namespaces.a.rules.encryption: nothing is asked for in a that encryption judges → say in a what is expected, or remove the rule's setting",
            "17:7: warning [rule-without-effect] namespaces.a.rules.repository-policy: says nothing → write a mode or a severity, or remove it",
            "19:16: warning [rule-asks-nothing] namespaces.b/.rules.scanning: nothing is asked for in b that scanning judges → say in b what is expected, or remove the rule's setting",
            "19:26: warning [rule-has-no-remedy] namespaces.b/.rules.scanning.mode: scanning has nothing to put right by → write audit; what can be put right is judged by lifecycle-policy, repository-policy, required-tags and tag-mutability",
        ],
    ),
    "a rule of a namespace is held back, and off where it is needed": (
        """
        namespaces:
          ROOT: {rules: {unused: off}, retirement: {empty_after_days: 7}}
          a: {rules: {required-tags: enforce, unused: audit}, required_tags: {owner: {}}}
          b: {rules: {unused: off, naming: audit}}
          c: {retirement: {misnamed_after_days: 30}, rules: {naming: off, unused: audit}}
        naming: {convention: "{team}/{service}"}
        exemptions:
          - {match: "b/*", rules: [unused], reason: because of a test, owner: us, expires: 2027-01-01}
          - {match: "?/*", rules: [unused], reason: because of a test, owner: us, expires: 2026-12-31}
        """,
        [
            "4:26: warning [retirement-unused-off] namespaces.ROOT.rules.unused: the rule unused is off, and ROOT is to be retired → turn the rule on, or remove retirement",
            "5:30: warning [rule-held-back] namespaces.a.rules.required-tags.mode: required-tags goes no farther than mode, which is audit → write mode: enforce at the top, and hold other rules back by audit",
            "6:23: warning [retirement-unused-off] namespaces.b.rules.unused: the rule unused is off, and b is to be retired → turn the rule on, or remove retirement",
            "6:23: warning [rule-without-effect] namespaces.b.rules.unused.mode: unused is off in b anyway → remove it, or write what is to be otherwise",
            "7:41: warning [retirement-key-unused] namespaces.c.retirement.misnamed_after_days: has no effect: no name is judged → write a naming convention and turn the rule naming on, or remove it",
            "10:28: warning [exemption-of-nothing] exemptions[0].rules[0]: the rule unused is off in b → remove it from the exemption",
        ],
    ),
    "nobody hears anything": (
        """
        mode: enforce
        notifications: {slack: {min_severity: critical}}
        limits: {remedies_per_sweep: 0}
        """,
        [
            "4:39: warning [nobody-told] notifications.slack.min_severity: no rule is above high, and nothing below critical is announced → lower min_severity, or raise the severity of what matters",
            "5:30: warning [sweep-puts-nothing-right] limits.remedies_per_sweep: a sweep has nothing put right → write how many it may, or mode: audit",
        ],
    ),
    "where names are not judged no name is wrong": (
        """
        naming:
          convention: "{team}/{service}"
          segments: {team: [payments, search]}
        namespaces:
          ROOT: {scan_frequency: MANUAL}
          legacy: {scan_frequency: MANUAL, rules: {naming: off}}
        notifications: {slack: {routes: [{namespace: legacy/old, channel: C0123456789}]}}
        """,
        [],
    ),
    "routes that never count": (
        """
        naming:
          convention: "{team}/{service}"
          segments: {team: [payments, search]}
          ignore: ["docker-hub/*"]
        notifications:
          slack:
            routes:
              - {namespace: paymets, channel: C0123456789}
              - {namespace: docker-hub/library, channel: C0123456789}
              - {namespace: payments, owner: "pay*", channel: C0123456789}
              - {namespace: payments/api, owner: "pay-a*", tags: {stage: prod}, channel: C0PAYMENTS01}
              - {namespace: payments, owner: "pa*", channel: C0PAYMENTS01}
              - {namespace: payments-old, owner: "pay-a*", channel: C0PAYMENTS01}
              - {owner: "?", tags: {stage: "p*"}, channel: C0123456789}
              - {owner: "?", tags: {stage: "pr*", team: "*"}, mention: U0123456789}
              - {owner: "x", tags: {stage: "p*"}, channel: C0123456789}
              - {tags: {stage: "p*"}, owner: "?", channel: C0123456789}
              - {actor: "ci-*", channel: C0123456789}
              - {namespace: ROOT, channel: C0123456789}
              - {namespace: search, actor: "*", mention: U0123456789}
            unowned: {channel: C0123456789}
        """,
        [
            '10:21: note [route-unreachable] notifications.slack.routes[0].namespace: no name that keeps {team}/{service} is below paymets → correct the prefix, or add "paymets/*" to naming.ignore',
            "13:9: warning [route-shadowed] notifications.slack.routes[3]: routes[2] takes all that it would take → put it above routes[2], or remove it",
            '13:21: note [route-unreachable] notifications.slack.routes[3].namespace: no name that keeps {team}/{service} is below payments/api → correct the prefix, or add "payments/api/*" to naming.ignore',
            '15:21: note [route-unreachable] notifications.slack.routes[5].namespace: no name that keeps {team}/{service} is below payments-old → correct the prefix, or add "payments-old/*" to naming.ignore',
            "17:9: warning [route-shadowed] notifications.slack.routes[7]: routes[6] takes all that it would take → put it above routes[6], or remove it",
            "19:9: warning [route-shadowed] notifications.slack.routes[9]: routes[6] takes the same repositories → remove one of the two",
            "22:9: warning [route-shadowed] notifications.slack.routes[12]: routes[11] takes all that it would take → put it above routes[11], or remove it",
            "23:5: warning [route-shadowed] notifications.slack.unowned: routes[11] takes every repository, whether or not its owner is known → remove it, or narrow routes[11]",
        ],
    ),
    "settings that nothing can keep, or everybody": (
        """
        namespaces:
          ROOT:
            required_tags: {stage: [dev, "pro;d", ""]}
            image_tags: {regex: "[0-9]+@sha"}
          payments:
            image_tags: {regex: "v[0-9]+"}
            tag_mutability: {mode: IMMUTABLE_WITH_EXCLUSION, except: [latest, "-x*", "v*"]}
            repository_policy:
              Version: "2012-10-17"
              Statement:
                - {Sid: Anyone, Effect: Allow, Principal: "*", Action: "ecr:BatchGetImage"}
                - {Sid: Everyone, Effect: Allow, Principal: {AWS: ["*"]}, Action: "ecr:BatchGetImage"}
                - Sid: Ours
                  Effect: Allow
                  Principal: "*"
                  Action: "ecr:BatchGetImage"
                  Condition: {StringEquals: {"aws:PrincipalOrgID": "o-exampleorgid"}}
        """,
        [
            "5:34: warning [tag-value-impossible] namespaces.ROOT.required_tags.stage.one_of[1]: 'pro;d' is no tag value → use up to 256 letters, digits, spaces and _.:/=+-@",
            "5:43: warning [tag-value-impossible] namespaces.ROOT.required_tags.stage.one_of[2]: '' is no tag value → use up to 256 letters, digits, spaces and _.:/=+-@",
            "6:5: error [image-tags-impossible] namespaces.ROOT.image_tags: no tag can be like the expression [0-9]+@sha → tags are made of letters, digits and _ . -, at most 128, and begin with a letter, a digit or _",
            "9:63: warning [exclusion-matches-nothing] namespaces.payments.tag_mutability.except[0]: image_tags allows no tag like 'latest' → allow it there, or remove it here",
            "9:71: warning [exclusion-matches-nothing] namespaces.payments.tag_mutability.except[1]: no tag is like '-x*' → tags begin with a letter, a digit or _; correct it, or remove it",
            "13:51: warning [statement-for-everybody] namespaces.payments.repository_policy.Statement[0].Principal: statement 'Anyone' admits everybody → name accounts or roles, or add a condition on aws:PrincipalOrgID",
            "14:42: warning [statement-for-everybody] namespaces.payments.repository_policy.Statement[1].Principal: statement 'Everyone' admits everybody → name accounts or roles, or add a condition on aws:PrincipalOrgID",
        ],
    ),
    "keys of two Regions": (
        """
        namespaces:
          a: {encryption: {type: KMS, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1"}}
          b: {encryption: {type: KMS, kms_key: "arn:aws:kms:us-east-1:123456789012:key/2"}}
          c:
            repository_policy:
              Version: "2012-10-17"
              Statement:
                - Sid: Lambda
                  Effect: Allow
                  Principal: {Service: lambda.amazonaws.com}
                  Action: "ecr:BatchGetImage"
                  Condition:
                    ArnLike:
                      aws:SourceArn: ["arn:aws:lambda:*:123456789012:function:*", "arn:aws:lambda:eu-west-2:123456789012:function:*"]
        """,
        [
            "5:40: error [other-region] namespaces.b.encryption.kms_key: arn:aws:kms:us-east-1:123456789012:key/2 is of us-east-1, and arn:aws:kms:eu-west-1:123456789012:key/1 is of eu-west-1 → keep a policy file for each Region, with what is of that Region",
            "16:75: error [other-region] namespaces.c.repository_policy.Statement[0].Condition.ArnLike.aws:SourceArn[1]: arn:aws:lambda:eu-west-2:123456789012:function:* is of eu-west-2, and arn:aws:kms:eu-west-1:123456789012:key/1 is of eu-west-1 → keep a policy file for each Region, with what is of that Region",
        ],
    ),
    "namespaces that do not inherit from shorter ones": (
        """
        namespaces:
          ROOT: {scan_frequency: SCAN_ON_PUSH}
          payments:
            tag_mutability: IMMUTABLE
            scan_frequency: CONTINUOUS_SCAN
            trusted_accounts: []
            rules: {tag-mutability: {severity: high}, scanning: off}
          payments/prod/: {encryption: KMS}
          payments/prod/web: {encryption: AES256}
          payments/dev: {tag_mutability: MUTABLE, scan_frequency: MANUAL, rules: {tag-mutability: {severity: high}}}
          payments-old/api: {encryption: KMS}
        """,
        [
            "10:3: warning [namespace-not-inherited] namespaces.payments/prod/: what payments says of tag_mutability, scan_frequency, rules.tag-mutability and rules.scanning does not hold here: what payments/prod leaves out it has from ROOT → write tag_mutability, scan_frequency, rules.tag-mutability and rules.scanning here as well, as it is meant",
            "12:3: warning [namespace-not-inherited] namespaces.payments/dev: what payments says of rules.scanning does not hold here: what payments/dev leaves out it has from ROOT → write rules.scanning here as well, as it is meant",
        ],
    ),
    "lifecycle rules that see no image": (
        """
        namespaces:
          ROOT:
            lifecycle_policy:
              rules:
                - rulePriority: 30
                  selection: {tagStatus: any, countType: sinceImagePushed, countUnit: days, countNumber: 60}
                  action: {type: expire}
                - rulePriority: 20
                  selection: {tagStatus: tagged, tagPatternList: ["prod*"], countType: imageCountMoreThan, countNumber: 5}
                  action: {type: expire}
                - rulePriority: 10
                  selection: {tagStatus: tagged, tagPatternList: ["*"], countType: imageCountMoreThan, countNumber: 100}
                  action: {type: expire}
                - rulePriority: 5
                  selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 7}
                  action: {type: expire}
        """,
        [
            "7:11: warning [lifecycle-shadowed] namespaces.ROOT.lifecycle_policy.rules[0]: rule 30 sees no image: rules 5 and 10 select all between them → remove it, or narrow rule 10",
            "10:11: warning [lifecycle-shadowed] namespaces.ROOT.lifecycle_policy.rules[1]: rule 20 sees no image: rule 10 selects all that it selects → give it a number below 10, or narrow rule 10",
            "13:11: warning [lifecycle-keeps-across] namespaces.ROOT.lifecycle_policy.rules[2]: rule 10 keeps the newest 100 of all images together → put rules before it that select what must stay by its tags, for example tagPatternList: ['v*']",
        ],
    ),
    "lifecycle patterns that match no tag, or one alone, or all together": (
        """
        namespaces:
          ROOT:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["prod/*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: tagged, tagPatternList: ["release-"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: tagged, tagPatternList: ["v?.?*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 4
                  selection: {tagStatus: tagged, tagPrefixList: [staging, dev], countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
          payments:
            image_tags: [{regex: "v[0-9]+"}, "build-*"]
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPrefixList: [prod], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: tagged, tagPrefixList: [build], countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
        """,
        [
            "8:59: warning [lifecycle-matches-no-tag] namespaces.ROOT.lifecycle_policy.rules[0].selection.tagPatternList[0]: no tag is like 'prod/*' → tags are made of letters, digits and _ . -, at most 128; only * is a wildcard",
            "11:59: warning [lifecycle-exact-tag] namespaces.ROOT.lifecycle_policy.rules[1].selection.tagPatternList[0]: 'release-' is only the tag of just this name → write 'release-*'",
            "14:59: warning [lifecycle-matches-no-tag] namespaces.ROOT.lifecycle_policy.rules[2].selection.tagPatternList[0]: no tag is like 'v?.?*' → tags are made of letters, digits and _ . -, at most 128; only * is a wildcard",
            "17:42: warning [lifecycle-all-of-several] namespaces.ROOT.lifecycle_policy.rules[3].selection.tagPrefixList: selects only images that carry a tag for each of 'staging' and 'dev' → write a rule for each, unless an image does carry them all",
            "24:58: warning [lifecycle-matches-no-tag] namespaces.payments.lifecycle_policy.rules[0].selection.tagPrefixList[0]: image_tags allows no tag like 'prod*' → write the pattern as the tags are written, or allow it in image_tags",
        ],
    ),
    "lifecycle rules that take all alike": (
        """
        namespaces:
          ROOT:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 10}
                  action: {type: expire}
          a:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["*"], countType: sinceImagePushed, countUnit: days, countNumber: 60}
                  action: {type: expire}
          b:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: imageCountMoreThan, countNumber: 100}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 10}
                  action: {type: expire}
          c:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: any, countType: sinceImagePulled, countUnit: days, countNumber: 90}
                  action: {type: transition, targetStorageClass: archive}
        """,
        [
            "7:11: warning [lifecycle-keeps-across] namespaces.ROOT.lifecycle_policy.rules[0]: rule 1 keeps the newest 10 of all images together → put rules before it that select what must stay by its tags, for example tagPatternList: ['v*']",
            "13:11: warning [lifecycle-expires-in-use] namespaces.a.lifecycle_policy.rules[0]: rule 1 expires every tagged image 60 days after its push → put rules before it that select what must stay by its tags; or archive by sinceImagePulled instead",
            "22:11: warning [lifecycle-counts-kept] namespaces.b.lifecycle_policy.rules[1]: rule 2 keeps the newest 10, and the 100 that rule 1 keeps count among them → write more than 100, or a pattern for what else is to stay",
        ],
    ),
    "lifecycle rules that select all between them": (
        """
        namespaces:
          ROOT:
            image_tags: [{regex: "v[0-9.]+"}, "build-*", "latest"]
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: tagged, tagPrefixList: ["latest"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: tagged, tagPatternList: ["build-*"], countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
                - rulePriority: 4
                  selection: {tagStatus: tagged, tagPatternList: ["*"], countType: sinceImagePushed, countUnit: days, countNumber: 90}
                  action: {type: expire}
                - rulePriority: 5
                  selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 7}
                  action: {type: expire}
          a:
            image_tags: ["v*", "build-*"]
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: sinceImagePushed, countUnit: days, countNumber: 365}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 7}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: tagged, tagPatternList: ["build-*"], countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
            retirement: {after_days: 400}
          b:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: sinceImagePushed, countUnit: days, countNumber: 365}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: any, countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
        """,
        [
            "17:11: warning [lifecycle-shadowed] namespaces.ROOT.lifecycle_policy.rules[3]: rule 4 sees no image: rules 1, 2 and 3 select all between them → remove it, or narrow rule 3",
            "25:5: warning [lifecycle-leaves-nothing] namespaces.a.lifecycle_policy: rules 1, 2 and 3 expire every image by its age: 365 days after the last push nothing is left → keep the newest of some by imageCountMoreThan, or archive by sinceImagePulled instead",
            "25:5: warning [retirement-emptied-first] namespaces.a.lifecycle_policy: every image expires 365 days after its push, retirement waits for 400 days without use → write empty_after_days as well, or let images stay 400 days",
            "38:5: warning [lifecycle-leaves-nothing] namespaces.b.lifecycle_policy: rules 1 and 2 expire every image by its age: 365 days after the last push nothing is left → keep the newest of some by imageCountMoreThan, or archive by sinceImagePulled instead",
        ],
    ),
    "lifecycle rules of which one takes what another one keeps": (
        """
        namespaces:
          ROOT:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["dev-*"], countType: sinceImagePushed, countUnit: days, countNumber: 14}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: tagged, tagPatternList: ["*-release"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: tagged, tagPatternList: ["*-v*"], countType: sinceImagePushed, countUnit: days, countNumber: 30}
                  action: {type: expire}
                - rulePriority: 4
                  selection: {tagStatus: tagged, tagPatternList: ["dev*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
          a:
            image_tags: [{regex: "dev-[0-9]+"}, {regex: "[0-9]+-release"}]
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["dev-*"], countType: sinceImagePushed, countUnit: days, countNumber: 14}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: tagged, tagPatternList: ["*-release"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
        """,
        [
            "10:11: warning [lifecycle-protects-late] namespaces.ROOT.lifecycle_policy.rules[1]: rule 2 keeps more than rule 1, which takes images with a tag like both, for example 'dev-release' → number the rules anew so that it comes before rule 1, or narrow rule 1",
            "13:11: warning [lifecycle-protects-late] namespaces.ROOT.lifecycle_policy.rules[2]: rule 3 keeps more than rule 1, which takes images with a tag like both, for example 'dev-v' → number the rules anew so that it comes before rule 1, or narrow rule 1",
        ],
    ),
    "lifecycle rules that count what others keep": (
        """
        namespaces:
          ROOT:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: imageCountMoreThan, countNumber: 10}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: untagged, countType: imageCountMoreThan, countNumber: 5}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 15}
                  action: {type: expire}
          a:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: imageCountMoreThan, countNumber: 10}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: untagged, countType: imageCountMoreThan, countNumber: 5}
                  action: {type: expire}
                - rulePriority: 3
                  selection: {tagStatus: tagged, tagPatternList: ["*"], countType: imageCountMoreThan, countNumber: 11}
                  action: {type: expire}
          b:
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["v*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 100}
                  action: {type: expire}
        """,
        [
            "13:11: warning [lifecycle-counts-kept] namespaces.ROOT.lifecycle_policy.rules[2]: rule 3 keeps the newest 15, and the 15 that rules 1 and 2 keep count among them → write more than 15, or a pattern for what else is to stay",
        ],
    ),
    "a retirement of nothing": (
        """
        retirement: {caps: {per_run: 1}, pull_time_exclusions: ["arn:aws:iam::123456789012:user/scanner", "arn:aws:iam::123456789012:role/scanner"]}
        """,
        [
            "3:1: warning [retirement-nowhere] retirement: no namespace says how its repositories are retired → add retirement to a namespace, or remove this section",
            "3:57: warning [no-role-arn] retirement.pull_time_exclusions[0]: 'arn:aws:iam::123456789012:user/scanner' is no role's ARN → write it as arn:aws:iam::123456789012:role/NAME",
        ],
    ),
    "what keeps every retirement from going on": (
        """
        rules: {unused: off}
        namespaces:
          sandbox:
            retirement: {then: quarantine}
          payments:
            retirement: {then: mark}
        retirement:
          sources: [ecs]
          caps: {per_run: 0, percent: 0, per_owner: 0, per_namespace: 0, per_day: 0, marks: 0}
        notifications: {slack: {enabled: false}}
        exemptions:
          - {match: "sand*", rules: "*", reason: nobody may touch these, owner: me, expires: 2099-12-31}
        """,
        [
            "3:17: warning [retirement-unused-off] rules.unused: the rule unused is off, and sandbox and payments are to be retired → turn the rule on, or remove retirement",
            "11:19: warning [retirement-capped] retirement.caps.per_run: per_run is 0, so nothing goes beyond the mark → write how many, or stop: true if nothing is to go",
            "11:31: warning [retirement-capped] retirement.caps.percent: percent is 0, so nothing goes beyond the mark → write how many, or stop: true if nothing is to go",
            "11:45: warning [retirement-capped] retirement.caps.per_owner: per_owner is 0, so nothing goes beyond the mark → write how many, or stop: true if nothing is to go",
            "11:63: warning [retirement-capped] retirement.caps.per_namespace: per_namespace is 0, so nothing goes beyond the mark → write how many, or stop: true if nothing is to go",
            "11:75: warning [retirement-capped] retirement.caps.per_day: per_day is 0, so nothing goes beyond the mark → write how many, or stop: true if nothing is to go",
            "11:85: warning [retirement-capped] retirement.caps.marks: marks is 0, so nothing is marked → write how many, or stop: true if nothing is to go",
            "12:34: warning [retirement-nobody-told] notifications.slack.enabled: nobody is told, and sandbox and payments are to be retired → let Slack be told",
            "14:13: warning [retirement-unused-exempt] exemptions[0].match: 'sand*' exempts all of sandbox until 2099-12-31, and sandbox is to be retired → write retirement: null for sandbox instead",
            "14:86: warning [exemption-for-ever] exemptions[0].expires: lasts until 2099-12-31 → name a day within a year; or change the policy, if it asks too much",
        ],
    ),
    "terms that contradict each other": (
        """
        namespaces:
          ROOT:
            unused: {after: 180d}
            retirement: {after_days: 90, then: archive, archive_days: 120}
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: any, countType: sinceImagePushed, countUnit: days, countNumber: 60}
                  action: {type: expire}
                - rulePriority: 2
                  selection: {tagStatus: any, storageClass: archive, countType: sinceImageTransitioned, countUnit: days, countNumber: 90}
                  action: {type: expire}
          a: {}
          b:
            lifecycle_policy: null
            unused: {after: 365d}
          c:
            retirement: {then: mark, quarantine_days: 7, archive_days: 30, empty_after_days: 30}
            unused: null
        """,
        [
            "5:21: warning [retirement-waits] namespaces.ROOT.unused.after: asks for 180 days without use, retirement for 90 → write 90d or less, or unused: null: retirement then asks for it by itself",
            "7:5: warning [retirement-archive-expires] namespaces.ROOT.lifecycle_policy: archived images expire after 90 days, archive_days is 120 → write archive_days below 90, or let archived images stay",
            "7:5: warning [retirement-emptied-first] namespaces.ROOT.lifecycle_policy: every image expires 60 days after its push, retirement waits for 90 days without use → write empty_after_days as well, or let images stay 90 days",
            "9:11: warning [lifecycle-expires-in-use] namespaces.ROOT.lifecycle_policy.rules[0]: rule 1 expires every image 60 days after its push → put rules before it that select what must stay by its tags; or archive by sinceImagePulled instead",
            "18:21: warning [retirement-waits] namespaces.b.unused.after: asks for 365 days without use, retirement for 90 → write 90d or less, or unused: null: retirement then asks for it by itself",
            "20:47: warning [retirement-key-unused] namespaces.c.retirement.quarantine_days: has no effect with then: mark → remove it, or write then: quarantine",
            "20:64: warning [retirement-key-unused] namespaces.c.retirement.archive_days: has no effect with then: mark → remove it, or write then: archive",
        ],
    ),
    "days for wrong names that make no difference": (
        """
        namespaces:
          a: {retirement: {misnamed_after_days: 14}}
        """,
        [
            "4:41: warning [retirement-key-unused] namespaces.a.retirement.misnamed_after_days: has no effect: no name is judged → write a naming convention and turn the rule naming on, or remove it",
        ],
    ),
    "days for wrong names that are no shorter": (
        """
        naming: {convention: "{team}/{service}"}
        namespaces:
          a: {retirement: {after_days: 60, misnamed_after_days: 60}}
          b: {retirement: {after_days: 60, misnamed_after_days: 59}}
        """,
        [
            "5:57: warning [retirement-key-unused] namespaces.a.retirement.misnamed_after_days: has no effect: after_days is 60, and the shorter counts → write less than 60, or remove it",
        ],
    ),
    "patterns beyond measure": (
        """
        naming:
          convention: "{service}"
          segments: {service: {regex: "a{1000}|b{1000}|c{1000}|d{1000}|e{1000}|f{1000}|g{1000}|h{1000}|i{1000}|j{1000}|k{1000}|l{1000}|m{1000}|n{1000}|o{1000}|p{1000}|q{1000}|r{1000}|s{1000}|t{1000}|u{1000}|v{1000}|w{1000}|x{1000}|y{1000}|z{1000}"}}
        namespaces:
          payments:
            image_tags: {regex: "a{1000}|b{1000}|c{1000}|d{1000}|e{1000}|f{1000}|g{1000}|h{1000}|i{1000}|j{1000}|k{1000}|l{1000}|m{1000}|n{1000}|o{1000}|p{1000}|q{1000}|r{1000}|s{1000}|t{1000}|u{1000}|v{1000}|w{1000}|x{1000}|y{1000}|z{1000}"}
            tag_mutability: {mode: IMMUTABLE_WITH_EXCLUSION, except: [latest]}
            lifecycle_policy:
              rules:
                - rulePriority: 1
                  selection: {tagStatus: tagged, tagPatternList: ["prod*"], countType: imageCountMoreThan, countNumber: 9999}
                  action: {type: expire}
        """,
        [
            "3:1: note [undecided] naming: the convention allows too much to be compared with the namespaces → write them narrower to have it worked out; nothing else depends on it",
            "8:5: note [undecided] namespaces.payments.image_tags: the forms allow too much to be compared → write them narrower to have it worked out; nothing else depends on it",
            "13:59: note [undecided] namespaces.payments.lifecycle_policy.rules[0].selection.tagPatternList[0]: 'prod*' allows too much to be compared with image_tags → write them narrower to have it worked out; nothing else depends on it",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_policy_file_cannot_mean_is_told_with_its_place_and_what_to_do(case: str) -> None:
    text, expected = CASES[case]

    assert told(text) == expected


def test_every_check_is_seen_at_work() -> None:
    seen = {each.partition("[")[2].partition("]")[0] for _, expected in CASES.values() for each in expected}

    assert seen == {code for code in CHECKS if code not in LOADER}


LOADER = {"yaml", "character", "too-large", "no-mapping", "unknown-key", "missing-key", "type", "value", "pattern", "file", "document"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mode: [", "yaml"),
        ("mode: off\nmode: off", "yaml"),
        ("mode: off\n---\nmode: off", "yaml"),
        ("owner_tag: a\x07b", "character"),
        ("owner_tag: a\ud800", "character"),
        (f"naming: {'[' * 41}{']' * 41}", "too-large"),
        pytest.param(f"exemptions: [{'a, ' * 20_000}]", "too-large", id="values"),
        pytest.param(f"owner_tag: {'a' * 262_144}", "too-large", id="characters"),
        ("mood: off", "unknown-key"),
        ("naming: {}", "missing-key"),
        ("owner_tag: 7", "type"),
        ("mode: on", "value"),
        ("owner_tag: 'aws:x'", "value"),
        ("naming: {convention: '{a}', segments: {a: {regex: '['}}}", "pattern"),
        ("namespaces: {ROOT: {lifecycle_policy: {rules: []}}}", "document"),
        ("namespaces: {ROOT: {repository_policy: {}}}", "document"),
        ("namespaces: {ROOT: {required_tags: {a: {set: '{b}'}}}}", "value"),
    ],
)
def test_what_the_loader_refuses_has_a_kind_and_a_reason(text: str, code: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        read(f"version: 1\n{text}", "policy.yaml")

    told = refusals(caught.value)
    assert {each.code for each in told} == {code}
    assert {(each.level, each.why, each.source) for each in told} == {(Level.ERROR, CHECKS[code].why, "policy.yaml")}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "1:1: no-mapping: the file is empty → start with version: 1"),
        (b"# nothing\n", "1:1: no-mapping: the file is empty → start with version: 1"),
        (b"---\nnull\n", "2:1: no-mapping: the file is empty → start with version: 1"),
        (b"- mode: off\n", "1:1: no-mapping: the file holds a list; a policy is a mapping → start with version: 1"),
        (b"mode: \xff", "1:7: character: is not UTF-8 text → save the file as UTF-8"),
        pytest.param(
            b"#" * 262_145,
            "1:1: too-large: the file is larger than 262144 bytes, the most that is read → take out what is no policy",
            id="too-large",
        ),
    ],
)
def test_what_is_no_policy_at_all_has_a_reason_of_its_own(data: bytes, told: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_bytes(data, "policy.yaml")

    (refusal,) = refusals(caught.value)
    assert f"{refusal.line}:{refusal.column}: {refusal.code}: {refusal.what} → {refusal.do}" == told
    assert refusal.why == {
        "no-mapping": "what it asks for stands under keys: without any it asks for nothing, and nobody would notice",
        "character": "what an editor shows would not be what is read",
        "too-large": "whoever writes it must not be able to keep a function busy",
    }[refusal.code]  # fmt: skip


def test_a_policy_for_a_known_region_names_no_other() -> None:
    text = 'namespaces: {a: {encryption: {type: KMS, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1"}}}'

    assert told(text, "eu-west-1") == []
    assert told(text, "us-east-1") == [
        (
            "2:51: error [other-region] namespaces.a.encryption.kms_key: arn:aws:kms:eu-west-1:123456789012:key/1 is of eu-west-1, not of "
            "us-east-1 → keep a policy file for each Region, with what is of that Region"
        )
    ]


def test_an_exemption_is_spoken_of_by_the_day() -> None:
    text = "version: 1\nexemptions: [{match: a/*, rules: '*', reason: moves with the cluster, owner: me, expires: 2026-12-31}]"
    reading = read(text, "policy.yaml")

    def codes(*day: int) -> list[str]:
        return [each.code for each in remarks(reading, datetime(*day, 0, 0, tzinfo=UTC))]

    assert codes(2026, 12, 17) == []
    assert codes(2026, 12, 18) == ["exemption-ends-soon"]
    assert codes(2026, 12, 31) == ["exemption-ends-soon"]
    assert codes(2027, 1, 1) == ["exemption-expired"]
    assert codes(2021, 12, 31) == ["exemption-for-ever"]
    assert codes(2022, 1, 1) == []


@pytest.mark.parametrize(
    "text",
    [
        'naming: {convention: "{team}/{service}", segments: {service: {regex: "(?i)[a-z]+"}}}',
        'naming: {convention: "{team}/{service}", segments: {service: {regex: "\\\\pL+"}}}\nnamespaces: {payments: {scan_frequency: MANUAL}}',
        'naming: {convention: "{path...}/{service}", segments: {service: {glob: "svc-*"}}}\nnamespaces: {a/b: {scan_frequency: MANUAL}}',
        'naming: {convention: "{stage}-{team}", segments: {stage: [dev], team: ["a-", b]}}\nnamespaces: {ROOT: {scan_frequency: MANUAL}}',
    ],
)
def test_what_is_possible_or_not_understood_is_not_called_impossible(text: str) -> None:
    allowed = {"naming-entry-impossible"}

    assert {each.code for each in found(text)} <= allowed


def test_the_remarks_come_in_the_order_of_the_lines() -> None:
    places = [(each.line, each.column) for text, _ in CASES.values() for each in found(text)[:3]]

    assert places
    for text, _ in CASES.values():
        lines = [(each.line, each.column) for each in found(text)]
        assert lines == sorted(lines)


def test_a_thousand_exemptions_are_compared_without_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def counted(one: Exemption, other: Exemption) -> bool:
        compared.append(one.match)
        return covers(one, other)

    covers = exemptions._covers
    monkeypatch.setattr(exemptions, "_covers", counted)
    matches = [f"{team}/old-{number:03d}{end}" for number in range(334) for team, end in (("a", "-*"), ("*b", "*"), ("*", "/c"))]
    matches.append("a/old-007-x")
    text = dedent(
        """
        version: 1
        naming: {convention: "{team}/{path...}", segments: {team: [a, b]}}
        namespaces: {a: {}, b/c: {}, b/old-007: {}, c: {}}
        exemptions:
        """
    )
    text += "".join(
        f"- {{match: '{match}', rules: '*', reason: moves with the cluster, owner: me, expires: 2027-01-31}}\n" for match in matches
    )

    told = remarks(read(text, "policy.yaml"), NOW)

    assert [(each.line, each.what) for each in told] == [(1008, "the exemption of 'a/old-007-*' covers it and lasts until 2027-01-31")]
    assert compared == ["a/old-007-*", "a/old-007-x"]


GLOBS = st.text("ab/*-?", min_size=1, max_size=7)


@settings(max_examples=100)
@given(st.lists(st.text("ab/", min_size=1, max_size=5).filter(is_template_prefix), max_size=4, unique_by=lambda one: one.strip("/")), GLOBS)
def test_the_namespaces_of_a_glob_are_those_that_its_automaton_leads_into(prefixes: list[str], glob: str) -> None:
    policy = read(json.dumps({"version": 1, "namespaces": {prefix: {} for prefix in prefixes}}), "policy.yaml").policy
    language = Language(NAMES)
    language.end = language.glob(glob, 0)

    assert names.namespaces_of(glob, policy) == names._settled(language, names._machine(tuple(policy.namespaces)))


def lifecycle(*rules: tuple[str, str, int], more: str = "") -> str:
    """Write a namespace with rules: the pattern, or untagged or any; age or count; the number."""
    lines = []
    for priority, (pattern, kind, number) in enumerate(rules, 1):
        selected = f"tagStatus: {pattern}" if pattern in {"untagged", "any"} else f"tagStatus: tagged, tagPatternList: ['{pattern}']"
        count = "countType: sinceImagePushed, countUnit: days" if kind == "age" else "countType: imageCountMoreThan"
        lines.append(f"{{rulePriority: {priority}, selection: {{{selected}, {count}, countNumber: {number}}}, action: {{type: expire}}}}")
    return f"namespaces: {{ROOT: {{{more}lifecycle_policy: {{rules: [{', '.join(lines)}]}}}}}}"


RETIRED = "retirement: {after_days: 90}, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lifecycle(("*-rc*", "age", 30), ("v*", "count", 1000)), []),
        (
            lifecycle(("v*", "count", 999), ("any", "count", 100)),
            ["rule 2 keeps the newest 100, and the 999 that rule 1 keeps count among them"],
        ),
        (lifecycle(("v*", "count", 1000), ("any", "count", 100)), []),
        (lifecycle(("*-SNAPSHOT", "age", 14), ("v*", "age", 365)), []),
        (lifecycle(("v*-rc", "age", 30), ("*-rc", "age", 10), ("v*c", "count", 2000)), []),
        (
            lifecycle(("v*", "count", 5), ("*", "age", 30), more="image_tags: {glob: v*}, "),
            ["rule 2 sees no image: rule 1 selects all that it selects"],
        ),
        (
            lifecycle(("v*", "age", 10), ("v1*", "age", 400), ("any", "age", 30), more=RETIRED),
            [
                "every image expires 30 days after its push, retirement waits for 90 days without use",
                "rule 2 sees no image: rule 1 selects all that it selects",
                "rules 1, 2 and 3 expire every image by its age: 30 days after the last push nothing is left",
            ],
        ),
        (
            lifecycle(("untagged", "count", 1), ("any", "age", 30), more=RETIRED),
            [
                "every tagged image expires 30 days after its push, retirement waits for 90 days without use",
                "rule 2 expires every tagged image 30 days after its push",
            ],
        ),
    ],
)
def test_lifecycle_rules_are_judged_by_the_images_that_they_see(text: str, expected: list[str]) -> None:
    assert sorted(each.what for each in found(text)) == expected


HOSTILE = lifecycle(
    ("a*", "age", 1),
    ("b*", "age", 2),
    *(
        (f"*{x}*{y}*{z}*", "age", 3 + n)
        for n, (x, y, z) in enumerate(zip("cdefghijklmnop", "qrstuvwxyzABCD", "EFGHIJKLMNOPQR", strict=True))
    ),
    more="image_tags: {regex: '[a-zA-R]+'}, ",
)


def test_rules_that_take_too_long_to_compare_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycles, "_TOGETHER", 20_000)

    assert [each.path for each in found(HOSTILE) if each.code == "undecided"] == ["namespaces.ROOT.lifecycle_policy"]


def test_all_documents_of_a_policy_are_compared_within_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = (HOSTILE, HOSTILE.replace("a-zA-R", "a-zA-Q"), lifecycle(("w*", "count", 5), more="image_tags: {glob: v*}, "))
    lines = "\n".join(
        document.replace("namespaces: {ROOT", f"  {prefix}").removesuffix("}") for prefix, document in zip("abc", documents, strict=True)
    )
    monkeypatch.setattr(lint, "TOGETHER", 20_000)

    given_up = "its patterns allow too much to be compared with each other and with image_tags"
    assert [each for each in told(f"namespaces:\n{lines}") if "[undecided]" in each] == [
        f"{line}:{column}: note [undecided] namespaces.{prefix}.lifecycle_policy: {given_up} → write them narrower to have it worked out; nothing else depends on it"
        for line, column, prefix in ((3, 41, "a"), (4, 41, "b"), (5, 31, "c"))
    ]


def test_as_many_ordinary_documents_as_a_file_can_hold_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (
        ("*-rc*", "age", 30),
        ("v1.*", "count", 50),
        ("v*", "count", 90),
        ("pr-*", "age", 14),
        ("main-*", "count", 30),
        ("any", "count", 500),
    )
    tags = r"'v[0-9]+(\.[0-9]+)*(-rc\.[0-9]+)?|main-[0-9a-f]{7,40}|pr-[0-9]+|2[0-9]{3}-[01][0-9]-[0-3][0-9]'"
    document = lifecycle(*rules, more=f"image_tags: {{regex: {tags}}}, {RETIRED}")
    reading = read(f"version: 1\n{document}", "policy.yaml")
    monkeypatch.setattr(lint, "TOGETHER", lint.TOGETHER // (MAX_NODES // reading.root.size))

    assert remarks(reading, NOW) == ()
