"""What each key of a policy file means, in one place: the JSON Schema for editors and the tables of docs/policy.md are made from here.

What the loader says of a missing key stands with the model; every other key is described below. No deployed function comes here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

MATCHER: Final = "<matcher>"
_PLACES: Final = {"namespaces": "<prefix>", "segments": "<segment>", "required_tags": "<key>", "rules": "<rule>"}
_KINDS: Final = frozenset({"one_of", "glob", "regex"})

_MODE_OF_RULE: Final = "How far this rule goes, never farther than `mode`"
_SEVERITY_OF_RULE: Final = "How much a violation matters; without it the rule's own severity"

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "preset": "A policy to start from. It lies beneath what the file says",
        "mode": "The upper bound of every rule's mode. `off`: judge nothing. `audit`: keep findings. `enforce`: keep findings and put "
        "right what can be put right. The stack's parameter `Mode` bounds it once more",
        "naming": "What repositories may be called. Left out: every name will do",
        "naming.ignore": "Names that the convention does not speak of",
        "namespaces": "What is expected of repositories, by prefix in whole path parts; the longest prefix wins and completes itself from "
        "`ROOT`",
        "<matcher>.one_of": "one of these",
        "<matcher>.glob": "like this glob: `*` is any run of characters, `/` included; `?` is any one character",
        "<matcher>.regex": "like this RE2 expression, as a whole; no look-around, no back-references",
        "namespaces.<prefix>.lifecycle_policy": "What must at least be expired, no later. Checked against ECR's language when the file is "
        "read. Or left to a file",
        "namespaces.<prefix>.repository_policy": "Statements that every repository policy carries. Each needs a `Sid`, by which it is "
        "merged. No `Resource`. Or left to a file",
        "namespaces.<prefix>.tag_mutability": "Whether a tag may be moved to another image",
        "namespaces.<prefix>.tag_mutability.mode": "ECR's setting",
        "namespaces.<prefix>.tag_mutability.except": "The exclusion filters, with `*` for any run of characters. Required for the two "
        "`*_WITH_EXCLUSION` modes, refused for the others",
        "namespaces.<prefix>.scan_frequency": "How often images must at least be scanned by the registry's scanning rules",
        "namespaces.<prefix>.required_tags": "Tags that every repository carries. `{}` asks for a value that is filled in",
        "namespaces.<prefix>.required_tags.<key>.set": "What to set where the tag is missing. Placeholders: `{pusher}` (the first push "
        "that was seen), `{origin}`, and the convention's segments. Nothing is set while a placeholder is not known",
        "namespaces.<prefix>.encryption": "How images are encrypted",
        "namespaces.<prefix>.encryption.type": "At least this",
        "namespaces.<prefix>.encryption.kms_key": "Exactly this key. Not an alias; not with `AES256`",
        "namespaces.<prefix>.image_tags": "What an image's tag must be: one of these",
        "namespaces.<prefix>.auto_created": "What is expected of repositories that ECR made by itself",
        "namespaces.<prefix>.auto_created.grace": "How long such a repository may stay without an image and without an owner. Tags set "
        "from `{pusher}` wait as long for the first push",
        "namespaces.<prefix>.unused": "When a repository counts as unused. Left out: never",
        "namespaces.<prefix>.retirement": "How repositories that nobody uses are retired. Left out: they are only found. The rule "
        "`unused` then looks at the same number of days unless it has its own",
        "namespaces.<prefix>.retirement.quarantine_days": "Days in quarantine, where push and pull are refused: 2 or more; 0 only with "
        "`then: mark`",
        "namespaces.<prefix>.retirement.then": "The last stage. `delete` also needs the stack's parameter `EnableDelete`",
        "namespaces.<prefix>.rules": "How far rules go here, where it is otherwise than in `rules` at the top; what is left out, mode and "
        "severity one by one, is ROOT's, and then the top's",
        "namespaces.<prefix>.rules.<rule>.mode": _MODE_OF_RULE,
        "namespaces.<prefix>.rules.<rule>.severity": _SEVERITY_OF_RULE,
        "rules.<rule>.mode": _MODE_OF_RULE,
        "rules.<rule>.severity": _SEVERITY_OF_RULE,
        "exemptions": "Rules that do not hold for some repositories until a day",
        "retirement": "What holds for all retirements of unused repositories. Whether there are any, a namespace says",
        "retirement.stop": "Stops every step forward, at once. What is in quarantine is still released",
        "retirement.caps": "How much one run may take away. Over any of them the whole run takes nothing away; 0 means none",
        "retirement.caps.per_run": "Repositories that are quarantined, archived or deleted in one run",
        "retirement.caps.percent": "The same, of all repositories in the registry",
        "retirement.caps.per_owner": "The same, of one owner",
        "retirement.caps.per_namespace": "The same, of one namespace",
        "retirement.caps.per_day": "The same, within 24 hours over all runs",
        "retirement.caps.marks": "Repositories that one run may mark; each is a message to its owner",
        "retirement.window": "When steps forward are taken",
        "retirement.pull_time_exclusions": "Roles whose pulls ECR is told not to record and that are known to need no image. An excluded "
        "role that is not named here stops every retirement",
        "templates": "What holds for all creation templates that `ecr-governor templates` makes of the namespaces",
        "templates.custom_role_arn": "The role by which ECR creates repositories. Without one ECR creates none that has tags or a KMS key: "
        "tags are then left to the rule `required-tags`, and a namespace that asks for KMS gets no template",
        "templates.create_on_push_at_root": "Whether the template of `ROOT` is for create on push as well, where `ROOT` allows it: a push to "
        "any name then creates a repository",
        "limits": "How hard AWS may be asked, and how much a sweep may put right",
        "limits.calls_per_second": "Calls a second of each operation in a Region, at most, of the sweep and of the audit. ECR publishes no "
        "rates for its reads. When AWS refuses, the operation's rate is cut to a little less than AWS let through, and rises again little "
        "by little",
        "limits.pull_metrics": "Whether CloudWatch's pull counts are read first, so that only images of what was not pulled of late are "
        "listed. CloudWatch bills 0.01 USD for 1,000 repositories and run",
        "limits.remedies_per_sweep": "How many repositories one nightly sweep may have put right. If more would be, it has none put right "
        "and says so: a policy file with a mistake must not change a whole registry overnight. Events still put right one repository at "
        "a time",
        "notifications": "Who is told of what",
        "notifications.slack": "What Slack is told, where the stack has a Slack secret",
        "notifications.slack.enabled": "Whether Slack is told at all. What is not told while `false` is not told later",
        "notifications.slack.digest_above": "When more repositories than this ask for attention in one batch and channel, a digest is sent",
        "notifications.slack.channel": "The id of the channel for everything that no route takes; without it the secret's",
        "notifications.slack.routes": "Other channels for some repositories. The first that matches counts",
        "notifications.slack.routes[].owner": "The owner, as the tag `owner_tag` has it; `slack:ID` of who has claimed it",
        "notifications.slack.routes[].namespace": "The beginning of the name, in whole path parts; `ROOT` is every name",
        "notifications.slack.routes[].tags": "Globs of tags' values, by key. All must match",
        "notifications.slack.routes[].actor": "Who pushed first, or who created the repository",
        "notifications.slack.routes[].channel": "The id of the channel where these go; without it the channel above",
        "notifications.slack.routes[].mention": "The id of a user or a user group who is mentioned where attention is asked for. Nobody else "
        "ever is",
        "notifications.slack.unowned": "Where repositories go whose owner is not known and that no route takes",
        "notifications.slack.unowned.channel": "The id of their channel; without it the channel above",
        "notifications.slack.unowned.mention": "The id of a user or a user group who is mentioned there",
        "notifications.slack.buttons": "Who may press what, where the stack has `SlackButtons`. A user group stands for its members",
        "notifications.slack.buttons.enabled": "Whether there are buttons at all. With `false` a button that still stands somewhere does nothing",
        "notifications.slack.buttons.keep_days": "How long *Keep* lets a repository alone",
        "notifications.slack.buttons.exempt_days": "How long an exemption that is asked for in Slack may last",
        "notifications.slack.buttons.keep": "Who may keep what is retiring, by the ids of users and user groups; left out: anybody",
        "notifications.slack.buttons.claim": "Who may say that a repository without an owner is theirs; left out: anybody",
        "notifications.slack.buttons.exempt": "Who may ask for an exemption; left out: anybody",
        "notifications.slack.buttons.approve": "Who may confirm an exemption that somebody else asked for, and approve what "
        "only the caps withhold, which takes two of them. Left out: nobody, and neither is offered",
        "notifications.slack.buttons.open_report": "Who may open the report, all of which they then see; left out: anybody; "
        "`[]`: nobody, and the button is not offered",
        "notifications.slack.report": "How the [scheduled report](reports.md#on-schedule) gets there: `link`, or as a file by `upload`, for which "
        "the bot's token needs the scope `files:write`",
        "notifications.slack.min_severity": "Violations below it are not announced. They are findings all the same",
    }
)

# What the schema's own words do not say well enough.
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "naming.segments": "segment → [matcher](#matchers)",
        "naming.ignore": "list of globs",
        "<matcher>.one_of": "list of texts",
        "namespaces": "prefix → settings",
        "namespaces.<prefix>.lifecycle_policy": "ECR lifecycle policy, in YAML, or `{file: path}`",
        "namespaces.<prefix>.repository_policy": "ECR repository policy, in YAML, or `{file: path}`",
        "namespaces.<prefix>.trusted_accounts": "list of account ids",
        "namespaces.<prefix>.trusted_organizations": "list of organization ids",
        "namespaces.<prefix>.tag_mutability": "mode, or mapping",
        "namespaces.<prefix>.tag_mutability.except": "1 to 5 tags",
        "namespaces.<prefix>.required_tags": "tag key → [matcher](#matchers) with `set`; at most 50",
        "namespaces.<prefix>.encryption": "type, or mapping",
        "namespaces.<prefix>.encryption.kms_key": "key ARN",
        "namespaces.<prefix>.image_tags": "[matcher](#matchers), or list of matchers",
        "namespaces.<prefix>.auto_created.grace": "number with `m`, `h` or `d`, at most `365d`",
        "namespaces.<prefix>.unused.after": "number with `m`, `h` or `d`, at most `365d`",
        "namespaces.<prefix>.retirement.empty_after_days": "1 to 3,650 or `null`",
        "namespaces.<prefix>.retirement.blank_after_days": "1 to 3,650 or `null`",
        "namespaces.<prefix>.retirement.misnamed_after_days": "1 to 3,650 or `null`",
        "namespaces.<prefix>.retirement.quarantine_days": "0, or 2 to 3,650",
        "owner_tag": "tag key",
        **{
            f"notifications.slack.buttons.{key}": "list of ids of Slack users and user groups"
            for key in ("keep", "claim", "exempt", "approve", "open_report")
        },
        "namespaces.<prefix>.rules": "[rule id](rules.md) → mode, or mapping",
        "rules": "[rule id](rules.md) → mode, or mapping",
        "exemptions[].match": "glob",
        "exemptions[].rules": 'rule id, list of them, or `"*"`',
        "exemptions[].expires": "date `YEAR-MONTH-DAY`",
        "retirement.pull_time_exclusions": "list of role ARNs",
        "templates.custom_role_arn": "role ARN",
    }
)
_MORE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "preset": "[Presets](#presets)",
        "namespaces.<prefix>.lifecycle_policy": "[Documents in files](#documents-in-files)",
        "namespaces.<prefix>.repository_policy": "[Documents in files](#documents-in-files)",
        "namespaces.<prefix>.unused": "[The rule](rules.md#unused)",
        "namespaces.<prefix>.retirement": "[Retirement](retirement.md)",
        "notifications.slack.buttons": "[Buttons](slack.md#buttons)",
        "retirement": "[Retirement](retirement.md)",
        "retirement.sources": "[Who is asked](retirement.md#who-is-asked)",
        "templates": "[Templates](templates.md)",
        "limits.calls_per_second": "[Sweep](sweep.md), [audit](audit.md)",
    }
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the policy file: its path, and what the JSON Schema says of it."""

    path: str
    schema: dict[str, Any]
    required: bool


def keys_of(schema: Mapping[str, Any]) -> Iterator[Key]:
    """Give every key that a schema allows, in its order; what a matcher takes, once."""
    seen: set[str] = set()
    for key in _keys(schema, schema["$defs"], "", ""):
        if key.path not in seen:
            seen.add(key.path)
            yield key


def _keys(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str, name: str) -> Iterator[Key]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    for form in schema.get("anyOf", ()):
        yield from _keys(form, definitions, path, name)
    properties = schema.get("properties", {})
    for key, below in properties.items():
        if properties.keys() >= _KINDS and key in _KINDS:
            yield Key(f"{MATCHER}.{key}", below, required=False)
        else:
            yield Key(f"{path}{key}", below, key in schema.get("required", ()))
            yield from _keys(below, definitions, f"{path}{key}.", key)
    for keyword, place in (("additionalProperties", f"{path}{_PLACES.get(name, '')}."), ("items", f"{path.removesuffix('.')}[].")):
        if isinstance(below := schema.get(keyword), dict):
            yield from _keys(below, definitions, place, name)


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """Give every key of a schema its description, in place."""
    for key in _keys(schema, schema["$defs"], "", ""):
        if (meaning := MEANINGS.get(key.path)) is not None:
            key.schema["description"] = f"{meaning}."
    return schema


# --- tables ---------------------------------------------------------------------------------------------------------------------------

SECTIONS: Final = ("naming", MATCHER, "namespaces", "rules", "exemptions", "retirement", "templates", "limits", "notifications")
TOP: Final = "top level"


def table(schema: Mapping[str, Any], section: str) -> str:
    """Write the table of a section's keys as Markdown: type, default, meaning."""
    rows = [_row(key, schema["$defs"]) for key in keys_of(schema) if _section(key.path) == section]
    return "\n".join(("| Key | Type, default | Meaning |", "|---|---|---|", *rows)) + "\n"


def _section(path: str) -> str:
    head, dot, _ = path.partition(".")
    return head.removesuffix("[]") if dot else TOP


def _row(key: Key, definitions: Mapping[str, Any]) -> str:
    meaning = str(key.schema["description"]).removesuffix(".")
    if more := _MORE.get(key.path):
        meaning = f"{meaning}. {more}"
    return f"| `{key.path}` | {_type(key, definitions)} | {meaning} |"


def _type(key: Key, definitions: Mapping[str, Any]) -> str:
    words = _TYPES.get(key.path) or _words(key.schema, definitions)
    if key.required:
        return f"{words}; required"
    default = key.schema.get("default")
    if default is None or isinstance(default, dict):
        return words
    if isinstance(default, list):
        return f"{words}; default `[{', '.join(map(str, default))}]`" if default else f"{words}; default none"
    shown = str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else str(default)
    return f"{words}; default `{shown}`"


def _words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say a type in words."""
    if "$ref" in schema:
        return _words(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if forms := [form for form in schema.get("anyOf", ()) if form.get("type") != "null"]:
        return _words(forms[-1], definitions)
    if choices := schema.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number":
            return f"{schema['minimum']:,g} to {schema['maximum']:,g}"
        case "array":
            inner = _words(schema["items"], definitions)
            return f"list of {inner}" if inner != "mapping" else "list"
        case "string":
            return f"text, at most {schema['maxLength']:,} characters" if "maxLength" in schema else "text"
        case _:
            return "mapping"
