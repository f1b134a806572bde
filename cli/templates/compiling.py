"""`ecr-governor templates compile`: the wanted templates as data, and the policies that keep names to their prefixes."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import botocore.session
import yaml
from botocore.exceptions import UnknownRegionError

from cli.policy import files
from cli.templates import page
from cli.trouble import Trouble, check_output
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.templates import cloudformation, guards
from ecr_governor.core.templates.compile import Compiled, compiled
from ecr_governor.core.templates.template import as_data

ACCOUNT_DIGITS = 12
_WIDTH = 10_000
_ADMIN_ALONE = "--admin is for --scp alone"
# What aws:PrincipalArn may be (IAM user guide, reference_policies_condition-keys), each part with * and ? as ARN operators take them.
_ACCOUNT = r"(?:[0-9]{12}|(?=[0-9]*[*?])[0-9*?]{1,12})"
_PRINCIPAL = re.compile(
    rf"arn:[a-z*?-]+:(?:(?:iam|\*)::{_ACCOUNT}:(?:root|(?:role|user)/[!-~]+|\*[!-~]*)|sts::{_ACCOUNT}:federated-user/[!-~]+)"
)
_NOT_PUSHES = "Whether creation on push is asked for it, AWS does not say: what keeps that to the prefixes are the templates."


def print_templates(policy_path: Path, output: str, admins: Sequence[str] = ()) -> None:
    """Print the templates that a policy wants, and tell what they leave out."""
    check_output(output, "json", "yaml")
    if admins:
        raise Trouble(_ADMIN_ALONE, "creation templates name nobody", "add --scp, or take --admin out")
    policy = files.read(policy_path, files.OPTION)
    made = compiled(policy)
    if output == "yaml":
        document = cloudformation.document(made.templates, policy.hash)
        yaml.safe_dump(document, sys.stdout, sort_keys=False, width=_WIDTH, allow_unicode=False)
    else:
        value = {
            "policy_hash": policy.hash,
            "templates": [as_data(each) for each in made.templates],
            "left_out": page.left_out_as_data(made.left_out),
        }
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
    page.tell_left_out(made.left_out)
    sys.stderr.write(f"{counted(len(made.templates))}\n")


def counted(number: int) -> str:
    """Count templates in words."""
    return "no template" if not number else "1 template" if number == 1 else f"{number:,} templates"


def print_guard(policy_path: Path, admins: Sequence[str], account: str | None, region: str | None, *, registry: bool, scp: bool) -> None:
    """Print a registry policy or an SCP, and tell what it stops and what it does not. Raises Trouble where it would stop nothing."""
    if registry and scp:
        raise Trouble("these are two documents", "--registry-policy and --scp were both given", "ask for one at a time")
    if registry and admins:
        raise Trouble(_ADMIN_ALONE, "a registry policy leaves templates alone", "take --admin out, or ask for --scp")
    for admin in admins:
        _check_admin(admin)
    policy = files.read(policy_path, files.OPTION)
    prefixes = guards.prefixes_of(policy)
    _check_prefixes(policy, prefixes)
    if registry:
        document, most = _registry_policy(prefixes, account, region), guards.MAX_REGISTRY_POLICY
    else:
        document, most = guards.service_control_policy(prefixes, admins), guards.MAX_SCP
    if (length := guards.length(document)) > most:
        why = f"without white space it has {length:,} characters, and AWS takes {most:,}"
        raise Trouble("the document is too long", why, "bring the namespaces under fewer first path parts")
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    for line in _about(compiled(policy), admins, registry=registry):
        sys.stderr.write(f"{line}\n")


def _check_admin(arn: str) -> None:
    """Raise Trouble for what `aws:PrincipalArn` never is: the SCP would spare nobody, the platform's people not either."""
    if _PRINCIPAL.fullmatch(arn):
        return
    session = ":assumed-role/" in arn
    why = f"aws:PrincipalArn {'is the role of a session, not the session' if session else 'never is that'}: nobody at all could change templates"
    raise Trouble(f"{arn!r} is no principal's ARN", why, "--admin 'arn:aws:iam::123456789012:role/platform', with * for any account")


def _check_prefixes(policy: Policy, prefixes: Sequence[str]) -> None:
    if policy.templates.create_on_push_at_root:
        why = "templates.create_on_push_at_root lets a push to any name create a repository"
        raise Trouble("there are no prefixes to keep names to", why, "take it out, and give each prefix a namespace")
    if not prefixes:
        raise Trouble("there are no prefixes to keep names to", f"the policy has no namespace but {ROOT}", "give each prefix a namespace")


def _registry_policy(prefixes: Sequence[str], account: str | None, region: str | None) -> dict[str, Any]:
    if account is None or not (account.isascii() and account.isdecimal() and len(account) == ACCOUNT_DIGITS):
        why = "a registry policy names repositories by their ARNs" if account is None else f"{account!r} is no account id"
        raise Trouble("the registry's account is not known", why, "--account 123456789012")
    if region is None:
        raise Trouble("the registry's Region is not known", "a registry policy names repositories by their ARNs", "--region eu-west-1")
    try:
        partition = str(botocore.session.Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise Trouble(f"{region} is no AWS Region", str(error), "--region eu-west-1") from error
    return guards.registry_policy(prefixes, account, region, partition)


def _about(made: Compiled, admins: Sequence[str], *, registry: bool) -> list[str]:
    if registry:
        lines = [
            "Refuses CreateRepository outside the prefixes to whoever asks for it: people, pipelines, who pulls first through a cache.",
            _NOT_PUSHES,
            "Merge the statement into your registry policy: PutRegistryPolicy replaces the whole.",
            "That ECR takes NotResource there is documented nowhere: try it where nothing depends on it.",
        ]
    else:
        lines = [
            "Binds users and roles of member accounts, a template's custom role among them.",
            "It binds neither service-linked roles, by which ECR creates without a custom role, nor the management account.",
            _NOT_PUSHES,
        ]
        if not admins:
            lines.append("Who may change templates is left open: name the principals who may with --admin.")
    if (root := made.template(ROOT)) is not None:
        ways = " and ".join(sorted(root.applied_for))
        lines.append(f"The template ROOT is for {ways} of any name, and this refuses what is outside the prefixes.")
    return lines
