"""IAM roles and policies."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.models import AWSManagedPolicy, iam_backends

from local.access.policy import Access, evaluate, parsed
from local.stack.context import Build, Properties, Resource, Rooms
from local.stack.errors import StackError
from local.stack.resources import kind, tag_list
from local.stack.transform import aws_managed_policies

ROLE_NAME_LIMIT = 64


@kind(
    "AWS::IAM::Role",
    "AssumeRolePolicyDocument Policies ManagedPolicyArns Path RoleName PermissionsBoundary Tags",
    "Description MaxSessionDuration",
)
def role(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A role whose policies are enforced for its sessions."""
    iam = build.rooms.client("iam")
    name = properties.get("RoleName") or build.name(logical_id, ROLE_NAME_LIMIT)
    optional: dict[str, Any] = {}
    if boundary := properties.get("PermissionsBoundary"):
        _load_managed(build, boundary)
        optional["PermissionsBoundary"] = boundary
    created = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
        Path=properties.get("Path", "/"),
        Tags=tag_list(properties),
        **optional,
    )["Role"]
    for policy in properties.get("Policies", []):
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=_document(policy["PolicyDocument"]))
    for arn in properties.get("ManagedPolicyArns", []):
        _load_managed(build, arn)
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    build.rooms.roles.register(created["Arn"], logical_id)
    return Resource(logical_id, "AWS::IAM::Role", name, {"Arn": created["Arn"], "RoleId": created["RoleId"]})


def _document(document: Properties) -> str:
    # IAM takes a document without a version for one of 2008, which differs in policy variables only; moto refuses it.
    return json.dumps({"Version": "2012-10-17", **document})


def _load_managed(build: Build, arn: str) -> None:
    # moto knows AWS's own policies only if it loads all 1,400 of them at the start; one at a time is enough.
    backend = iam_backends[build.rooms.account]["aws"]
    if not arn.startswith("arn:aws:iam::aws:policy/") or arn in backend.managed_policies:
        return
    try:
        data = aws_managed_policies()[arn]
    except KeyError:
        raise StackError(f"no such managed policy: {arn}") from None
    backend.managed_policies[arn] = AWSManagedPolicy.from_data(data["Name"], build.rooms.account, build.rooms.region, data)


@kind("AWS::IAM::Policy", "PolicyName PolicyDocument Roles")
def policy(build: Build, logical_id: str, properties: Properties) -> Resource:
    """An inline policy of roles."""
    for name in properties["Roles"]:
        build.rooms.client("iam").put_role_policy(
            RoleName=name, PolicyName=properties["PolicyName"], PolicyDocument=_document(properties["PolicyDocument"])
        )
    return Resource(logical_id, "AWS::IAM::Policy", build.name(logical_id))


@kind("AWS::IAM::ManagedPolicy", "ManagedPolicyName PolicyDocument Roles Path", "Description")
def managed_policy(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A managed policy of this account."""
    iam = build.rooms.client("iam")
    arn = iam.create_policy(
        PolicyName=properties.get("ManagedPolicyName") or build.name(logical_id, 128),
        PolicyDocument=_document(properties["PolicyDocument"]),
        Path=properties.get("Path", "/"),
    )["Policy"]["Arn"]
    for name in properties.get("Roles", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return Resource(logical_id, "AWS::IAM::ManagedPolicy", arn, {"PolicyArn": arn})


def trusts(rooms: Rooms, role_arn: str, service: str, source_arn: str = "") -> bool:
    """Whether a role lets a service assume it, for a source if one is named."""
    document = iam_backends[rooms.account]["aws"].get_role_by_arn(role_arn).assume_role_policy_document
    context = {"aws:SourceAccount": (rooms.account,), **({"aws:SourceArn": (source_arn,)} if source_arn else {})}
    access = Access("sts:AssumeRole", role_arn, context, frozenset({f"Service:{service}"}))
    return evaluate([parsed(document)], access).allowed
