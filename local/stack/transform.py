"""The SAM transform, by AWS's own translator, over a template that `sam build` wrote."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from local.stack.errors import StackError

ARTEFACTS = "local-artefacts"
"""Bucket name that stands for "this machine": the translator insists on S3 locations."""
URI_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}


def transform(template_path: Path, parameters: dict[str, str], region: str = "eu-west-1") -> dict[str, Any]:
    """Expand the SAM resources of a built template; code locations point to the directories on this machine."""
    # The translator takes a second to import, which only a deployment needs.
    import boto3  # noqa: PLC0415
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    template = deepcopy(_parsed(template_path.read_text()))
    defaults = template.get("Globals", {}).get("Function", {})
    for name, resource in template.get("Resources", {}).items():
        uri_property = URI_PROPERTIES.get(resource.get("Type", ""))
        if uri_property:
            properties = resource.setdefault("Properties", {})
            uri = properties.get(uri_property) or (defaults.get("CodeUri") if uri_property == "CodeUri" else None)
            properties[uri_property] = _location(name, uri, template_path.parent)
        if resource.get("Type") == "AWS::Serverless::StateMachine":
            _inline_definition(name, resource.setdefault("Properties", {}), template_path.parent)
    values = {**{name: str(one["Default"]) for name, one in template.get("Parameters", {}).items() if "Default" in one}, **parameters}
    session = boto3.Session(region_name=region, aws_access_key_id="local", aws_secret_access_key="local")  # noqa: S106
    result: dict[str, Any] = Translator(_managed_policies(), Parser(), boto_session=session).translate(template, parameter_values=values)
    return result


@cache
def _parsed(text: str) -> dict[str, Any]:
    """Parse a template as SAM does. That takes two seconds, and a process that deploys often deploys the same one."""
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 -- as above

    parsed: dict[str, Any] = yaml_parse(text)
    return parsed


def _location(name: str, uri: Any, base: Path) -> str:
    if not isinstance(uri, str):
        raise StackError(f"{name}: the code is not a local directory: {uri!r}")
    directory = (base / uri).resolve()
    if not directory.is_dir():
        raise StackError(f"{name}: no such artefact directory: {directory} (was the template built?)")
    return f"s3://{ARTEFACTS}/{quote(str(directory), safe='')}"


def _inline_definition(name: str, properties: dict[str, Any], base: Path) -> None:
    """Put a definition's file into the template: CloudFormation reads it from S3, where `sam package` puts it."""
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 -- as above

    if "DefinitionUri" not in properties:
        return
    uri = properties.pop("DefinitionUri")
    path = base / uri if isinstance(uri, str) else None
    if path is None or not path.is_file():
        raise StackError(f"{name}: the definition is not a file on this machine: {uri!r}")
    properties["Definition"] = yaml_parse(path.read_text())


def artefact(location: dict[str, Any]) -> Path | None:
    """The directory of a `Code` or `Content` property; None if it is elsewhere."""
    if location.get("S3Bucket") != ARTEFACTS:
        return None
    return Path(unquote(str(location["S3Key"])))


def aws_managed_policies() -> dict[str, dict[str, Any]]:
    """AWS's managed policies by ARN, from moto's copy."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 -- 5 MB of text

    data: dict[str, dict[str, Any]] = json.loads(aws_managed_policies_data)
    return {f"arn:aws:iam::aws:policy{policy['Path']}{name}": {"Name": name, **policy} for name, policy in data.items()}


def _managed_policies() -> dict[str, str]:
    return {policy["Name"]: arn for arn, policy in aws_managed_policies().items()}
