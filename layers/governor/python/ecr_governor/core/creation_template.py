"""What ECR would make of a name that it does not hold yet: which creation template covers it, and the settings that it brings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Signal, longest_prefix
from ecr_governor.core.repository import (
    CreationTemplate,
    Encryption,
    EncryptionType,
    Repository,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)

ON_PUSH = "CREATE_ON_PUSH"
NOT_YET = Unreadable("it is not there yet, and the registry's scanning rules decide then")
NO_TAG_YET = Unreadable("it is not there yet, and the tag that is pushed decides then")


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """A creation template with what it gives a repository. `has_role`: it names the role that ECR takes for tags and KMS."""

    prefix: str
    applied_for: frozenset[str]
    tag_mutability: TagMutabilitySetting | Unreadable
    encryption: Encryption | Unreadable
    tags: Mapping[str, str]
    lifecycle_policy: str | None
    repository_policy: str | None
    has_role: bool

    @property
    def lacks_role(self) -> bool:
        """Whether it asks for what ECR does only with a role of its own (user guide, repository creation templates)."""
        encrypts = isinstance(self.encryption, Unreadable) or self.encryption.type is not EncryptionType.AES256
        return (encrypts or bool(self.tags)) and not self.has_role


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a push to a new name would lead to.

    `repository` is as ECR would make it, or, where it would not, with nothing known but its name. `template` is the prefix of the
    template by which it would be made. `refused` says why ECR would refuse the push, `unsure` what AWS does not document; "" if nothing.
    """

    repository: Repository
    template: str | None = None
    refused: str = ""
    unsure: str = ""


def foresee(name: str, templates: Sequence[TemplateSettings] | Unreadable, account: str, region: str, now: datetime) -> Foreseen:
    """Tell what ECR would make of a first push to a name. Unreadable templates leave it open."""
    unknown = _unknown(name, account, region, now)
    if isinstance(templates, Unreadable):
        return Foreseen(unknown, unsure=f"whether ECR would make it is not known: {templates.why}")
    on_push = [each for each in templates if ON_PUSH in each.applied_for]
    prefix = longest_prefix((each.prefix for each in on_push), name)
    if prefix is None:
        return Foreseen(unknown, refused="no creation template with CREATE_ON_PUSH covers the name")
    template = next(each for each in on_push if each.prefix == prefix)
    if template.lacks_role:
        why = f"the creation template {prefix} asks for tags or KMS, and names no role that may set them"
        return Foreseen(unknown, refused=why)
    closest = longest_prefix((each.prefix for each in templates), name)
    unsure = f"the template {closest} is closer and has no CREATE_ON_PUSH: AWS does not say whether it hides {prefix}"
    return Foreseen(_made(name, template, templates, account, region, now), prefix, unsure="" if closest == prefix else unsure)


def _unknown(name: str, account: str, region: str, now: datetime) -> Repository:
    why = Unreadable("it is not there yet")
    return Repository(
        name=name, arn=_arn(name, account, region), account=account, region=region, created_at=now, tag_mutability=why, encryption=why,
        tags=why, lifecycle_policy=why, repository_policy=why, scan_frequency=NOT_YET, images=NO_TAG_YET, holds_image=why,
        creation_templates=why, usage=why, provenance=Provenance(Origin.API),
    )  # fmt: skip


def _made(
    name: str, template: TemplateSettings, templates: Sequence[TemplateSettings], account: str, region: str, now: datetime
) -> Repository:
    evidence = Signal(f"the creation template {template.prefix} with CREATE_ON_PUSH covers the name", (Origin.CREATE_ON_PUSH,), 1)
    return Repository(
        name=name,
        arn=_arn(name, account, region),
        account=account,
        region=region,
        created_at=now,
        tag_mutability=template.tag_mutability,
        encryption=template.encryption,
        tags=dict(template.tags),
        lifecycle_policy=template.lifecycle_policy,
        repository_policy=template.repository_policy,
        scan_frequency=NOT_YET,
        images=NO_TAG_YET,
        holds_image=True,
        creation_templates=tuple(CreationTemplate(each.prefix, each.applied_for) for each in templates),
        usage=Usage(last_push=now),
        # Who pushes is not known yet: a tag that would name the pusher has its grace, as after any creation.
        provenance=Provenance(Origin.CREATE_ON_PUSH, (evidence,), Creation("", now, Actor("", account, ""))),
    )


def _arn(name: str, account: str, region: str) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{name}"
