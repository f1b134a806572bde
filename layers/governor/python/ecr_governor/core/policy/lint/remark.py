"""What a check has to say of a policy file, and the list of all checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ecr_governor.core.documents.problem import Path


class Level(StrEnum):
    """How much a remark matters: the file cannot be meant so, it is probably not meant so, or it is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked for: what it finds, and why that matters."""

    level: Level
    finds: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: at which path of the file, what, and what to do."""

    code: str
    at: Path
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark on a file. Lines and columns count from 1; `path` is as people write it, `code` one of `CHECKS`."""

    level: Level
    code: str
    source: str
    line: int
    column: int
    path: str
    what: str
    why: str
    do: str


def undecided(at: Path, what: str) -> Found:
    """Say that a comparison was given up."""
    return Found("undecided", at, what, "write them narrower to have it worked out; nothing else depends on it")


_E, _W, _N = Level.ERROR, Level.WARNING, Level.NOTE

CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        # The loader's own: such a file is never used.
        "yaml": Check(_E, "The file is no YAML, or YAML of an ambiguous kind", "a file that two readers may read in two ways is refused"),
        "character": Check(
            _E, "A file that is not UTF-8, or holds a character that YAML does not allow", "what an editor shows would not be what is read"
        ),
        "too-large": Check(
            _E, "A file with more bytes, values or levels than are read", "whoever writes it must not be able to keep a function busy"
        ),
        "no-mapping": Check(
            _E,
            "A file that is empty, or no mapping",
            "what it asks for stands under keys: without any it asks for nothing, and nobody would notice",
        ),
        "unknown-key": Check(_E, "A key that does not exist", "a misspelt key would say nothing, and nobody would notice"),
        "missing-key": Check(_E, "A key that must be there", "without it the section says nothing"),
        "type": Check(_E, "A value of the wrong type", "nothing is coerced, so that nothing is read as something else than was meant"),
        "value": Check(_E, "A value that is not allowed", "it could not be judged by, or AWS would not take it"),
        "pattern": Check(_E, "An expression that RE2 cannot run", "whoever can push chooses the names, so no pattern may take long"),
        "file": Check(
            _E, "A document that is left to a file and cannot be read from there", "without it the policy says less than it was meant to"
        ),
        "document": Check(_E, "A lifecycle or repository policy that ECR would refuse", "it could never be put"),
        # Names.
        "naming-impossible": Check(
            _E, "A convention that no repository name can keep", "every repository would break it, whatever it is called"
        ),
        "naming-entry-impossible": Check(
            _W, "An entry of a segment's list that can stand in no repository name", "what it is meant to allow is not allowed"
        ),
        "naming-ignores-nothing": Check(_W, "A glob of `naming.ignore` that no repository name is like", "it leaves nothing out"),
        "naming-ignores-everything": Check(_W, "A glob of `naming.ignore` that every name is like", "no name is judged at all"),
        "namespace-unreachable": Check(
            _W,
            "A namespace in which no repository can be whose name is allowed",
            "its settings speak of nothing, and those it should speak of get others",
        ),
        "namespace-not-inherited": Check(
            _W,
            "A namespace below another one that leaves out what that one says",
            "a namespace has what it leaves out from `ROOT`, never from a shorter prefix",
        ),
        # Exemptions.
        "exemption-matches-nothing": Check(_W, "An exemption that no repository name is like", "what it should spare is not spared"),
        "exemption-expired": Check(_W, "An exemption that has ended", "it holds for nothing any more: the findings are open again"),
        "exemption-ends-soon": Check(_N, "An exemption that ends within 14 days", "the findings open by themselves then"),
        "exemption-for-ever": Check(
            _W, "An exemption that lasts more than five years", "nobody will look at it again: it is a hole in the policy, not an exemption"
        ),
        "exemption-of-nothing": Check(
            _W, "An exemption from a rule that asks nothing of these repositories", "there is nothing to be exempt from"
        ),
        "exemption-rule-twice": Check(
            _W,
            "A rule that an exemption names twice, or beside `*`",
            "it spares nothing more, and whoever takes one of them out spares nothing less",
        ),
        "exemption-redundant": Check(
            _W, "An exemption that another one covers, at least as long", "ending it would change nothing, and that surprises"
        ),
        # Rules and sections.
        "rule-asks-nothing": Check(
            _W,
            "A rule with a setting of its own for which no namespace asks anything, or not the one that has the setting",
            "the rule never speaks",
        ),
        "rule-has-no-remedy": Check(
            _W, "`enforce` for a rule that has no remedy", "nothing is put right by it, although the file reads so"
        ),
        "rule-without-effect": Check(
            _W, "A rule's mode or severity that changes nothing where it stands", "whoever reads it takes it for what makes the difference"
        ),
        "rule-held-back": Check(_W, "`enforce` for a rule under a lower `mode`", "a rule never goes farther than `mode`"),
        "nobody-told": Check(_W, "`min_severity` above the severity of every rule", "no violation is ever announced"),
        "route-shadowed": Check(
            _W,
            "A route, or the queue of what nobody owns, whose repositories an earlier route takes",
            "the first route that takes a repository has its messages, and this one never counts",
        ),
        "route-unreachable": Check(
            _N,
            "A route by a namespace in which no repository can be whose name is allowed",
            "but for a pull through cache only what is called wrongly could go that way, and a misspelt prefix looks just so",
        ),
        "sweep-puts-nothing-right": Check(
            _W, "`remedies_per_sweep: 0` under `mode: enforce`", "what events missed is found every night and never put right"
        ),
        # Documents and settings.
        "other-region": Check(
            _E, "An ARN of another Region", "a deployment is of one Region, and ECR takes only what is in the repository's own"
        ),
        "statement-for-everybody": Check(
            _W, "An expected statement that admits everybody", "it would be put on every repository of the namespace"
        ),
        "tag-value-impossible": Check(_W, "A value of a required tag that AWS does not take", "what it is meant to allow cannot be set"),
        "image-tags-impossible": Check(_E, "Forms of `image_tags` that no tag can have", "every tag would break the rule"),
        "exclusion-matches-nothing": Check(
            _W,
            "An exclusion of tag mutability for which no allowed tag exists",
            "the tags that should move cannot, or are called otherwise",
        ),
        # Lifecycle policies.
        "lifecycle-shadowed": Check(
            _W,
            "A lifecycle rule whose images an earlier rule takes",
            "an image that an earlier rule selects is out of reach of later rules, whether or not the earlier one acts",
        ),
        "lifecycle-matches-no-tag": Check(
            _W, "A lifecycle rule whose pattern no allowed tag is like", "what it should protect or expire it does not see"
        ),
        "lifecycle-exact-tag": Check(
            _W, "A pattern without a wildcard that looks like a prefix", "a pattern speaks of whole tags; only `*` stands for more"
        ),
        "lifecycle-all-of-several": Check(
            _W, "A lifecycle rule with several patterns", "ECR joins them by and: an image must carry a tag for each of them"
        ),
        "lifecycle-keeps-across": Check(
            _W,
            "A lifecycle rule that keeps the newest N of all images alike",
            "images of every environment are counted together, children of multi-platform images and signatures with them: "
            "a busy branch pushes out what production runs",
        ),
        "lifecycle-counts-kept": Check(
            _W,
            "A lifecycle rule that keeps the newest N of all images, no more than earlier rules keep for themselves",
            "ECR counts the images of earlier rules as well, so that of all other images none may be left",
        ),
        "lifecycle-protects-late": Check(
            _W,
            "A lifecycle rule that keeps images which an earlier rule with another pattern takes",
            "the first rule that selects an image has it: the later one protects nothing from it",
        ),
        "lifecycle-leaves-nothing": Check(
            _W,
            "Lifecycle rules that between them expire every image by age",
            "none keeps anything for good: a repository that nobody pushes to for that long is emptied, whatever runs",
        ),
        "lifecycle-expires-in-use": Check(
            _W, "A lifecycle rule that expires all images by age alike", "ECR does not ask whether an image runs: the running one goes too"
        ),
        # Retirement.
        "retirement-nowhere": Check(_W, "A section `retirement` while no namespace has any", "nothing is retired"),
        "retirement-unused-off": Check(
            _W, "`retirement` while the rule `unused` is off", "where it is off nothing is retired, and what was begun is taken back"
        ),
        "retirement-unused-exempt": Check(
            _W, "`retirement` of a namespace that is exempt from the rule `unused` for years", "what is exempt from it is never retired"
        ),
        "retirement-waits": Check(
            _W, "`unused.after` longer than `retirement.after_days`", "what is not found unused yet is not retired either"
        ),
        "retirement-emptied-first": Check(
            _W,
            "A lifecycle policy that expires all images before retirement looks at them",
            "the repository is empty by then, and without `empty_after_days` empty ones are let alone",
        ),
        "retirement-archive-expires": Check(
            _W,
            "A lifecycle policy that expires archived images within `archive_days`",
            "ECR deletes what was to be restorable, and the retirement stops because its images changed",
        ),
        "retirement-key-unused": Check(
            _W, "Days of a stage that `then` does not reach, or for wrong names where that makes no difference", "they have no effect"
        ),
        "retirement-nobody-told": Check(
            _W, "`retirement` while Slack is told nothing", "grace runs from the delivered notice, so nothing goes beyond the mark"
        ),
        "retirement-capped": Check(_W, "A cap of 0 under `retirement`", "every run is over it, so none takes a step"),
        "templates-refuse": Check(
            _N, "Beginnings of names that the convention allows and no creation template is for", "a push there makes no repository"
        ),
        "no-role-arn": Check(
            _W, "An entry of `pull_time_exclusions` that is no role's ARN", "ECR excludes roles only, so it is never the one that is meant"
        ),
        # The checks themselves.
        "undecided": Check(_N, "Patterns that are too large to be compared", "whether a name can keep them all was not worked out"),
    }
)
