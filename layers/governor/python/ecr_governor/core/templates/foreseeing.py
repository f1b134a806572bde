"""What ECR would make of a first push to a name that it does not hold yet: nothing, or a repository as a template has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Signal
from ecr_governor.core.repository import CreationTemplate, Repository, Unreadable, Usage, encryption_of, tag_mutability_of
from ecr_governor.core.templates.applying import applying
from ecr_governor.core.templates.template import AppliedFor, Template

NOT_YET = Unreadable("it is not there yet, and the registry's scanning rules decide then")
NO_TAG_YET = Unreadable("it is not there yet, and the tag that is pushed decides then")


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


def foresee(name: str, templates: Sequence[Template] | Unreadable, account: str, region: str, now: datetime) -> Foreseen:
    """Tell what ECR would make of a first push to a name. Unreadable templates leave it open."""
    unknown = _unknown(name, account, region, now)
    if isinstance(templates, Unreadable):
        return Foreseen(unknown, unsure=f"whether ECR would make it is not known: {templates.why}")
    found = applying(templates, name, AppliedFor.CREATE_ON_PUSH)
    template = found.template
    if template is None:
        return Foreseen(unknown, refused="no creation template with CREATE_ON_PUSH covers the name")
    if found.fails:
        why = f"the creation template {template.prefix} asks for tags or KMS, and names no role that may set them"
        return Foreseen(unknown, refused=why)
    closer = found.hidden_by
    unsure = (
        f"the template {closer.prefix} is closer and has no CREATE_ON_PUSH: AWS does not say whether it hides {template.prefix}"
        if closer
        else ""
    )
    return Foreseen(_made(name, template, templates, account, region, now), template.prefix, unsure=unsure)


def _unknown(name: str, account: str, region: str, now: datetime) -> Repository:
    why = Unreadable("it is not there yet")
    return Repository(
        name=name, arn=_arn(name, account, region), account=account, region=region, created_at=now, tag_mutability=why, encryption=why,
        tags=why, lifecycle_policy=why, repository_policy=why, scan_frequency=NOT_YET, images=NO_TAG_YET, holds_image=why,
        creation_templates=why, usage=why, provenance=Provenance(Origin.API),
    )  # fmt: skip


def _made(name: str, template: Template, templates: Sequence[Template], account: str, region: str, now: datetime) -> Repository:
    evidence = Signal(f"the creation template {template.prefix} with CREATE_ON_PUSH covers the name", (Origin.CREATE_ON_PUSH,), 1)
    return Repository(
        name=name,
        arn=_arn(name, account, region),
        account=account,
        region=region,
        created_at=now,
        tag_mutability=tag_mutability_of(template.tag_mutability, template.exclusion_filters),
        encryption=encryption_of(template.encryption, template.kms_key),
        tags=dict(template.resource_tags),
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
