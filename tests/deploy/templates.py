"""The CloudFormation templates, read as they are, and made into stacks at moto."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from pytest_django.fixtures import Settings

from tests.support.processes import ROOT

FOLDER = ROOT / "deploy" / "cloudformation"

# In the order in which they are deployed: each uses what those before it export.
NAMES = ["queues", "database", "commands", "services", "alarms"]

NO_VALUE = {"Ref": "AWS::NoValue"}

# moto knows no resource of these types. It leaves them out, and fails where another resource refers
# to one by `Ref`: there it is given the name of the resource instead.
NOT_IN_MOTO = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::Secret",
}

ACCOUNT = "123456789012"


class _Loader(yaml.SafeLoader):
    """Reads the short forms of functions as the long ones."""


def _long_form(loader: _Loader, name: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name in ("Ref", "Condition"):
        return {name: value}
    return {f"Fn::{name}": value.split(".") if name == "GetAtt" else value}


_Loader.add_multi_constructor("!", _long_form)


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


def parsed(text: str) -> dict[str, Any]:
    """A copy, because some callers change it."""
    return deepcopy(_read(text))


@lru_cache(maxsize=32)
def _read(text: str) -> dict[str, Any]:
    """Reading a template takes a tenth of a second, and most tests ask for one several times."""
    found: dict[str, Any] = yaml.load(text, _Loader)
    return found


def template(name: str) -> dict[str, Any]:
    return parsed(path_of(name).read_text())


def resources(name: str, type_: str = "") -> dict[str, Any]:
    """The properties of the resources of a template, by their names."""
    found = template(name)["Resources"].items()
    return {key: each.get("Properties", {}) for key, each in found if type_ in ("", each["Type"])}


def for_moto(content: dict[str, Any]) -> str:
    """With what moto cannot do left out or mended: the resources above that others refer to; the
    names of groups in a database, which moto hands on as objects; and `AWS::NoValue` in lists,
    which moto does not drop. No condition of ours that adds to a list holds unless a parameter is
    given, so what is added is left out."""
    every, text = content["Resources"].items(), json.dumps(content)
    unknown = {
        name
        for name, each in every
        if each["Type"] in NOT_IN_MOTO
        and (f'{{"Ref": "{name}"}}' in text or f"${{{name}}}" in text)
    }
    parameters = content.get("Parameters", {}) | {
        name: {"Type": "String", "Default": name} for name in unknown
    }
    known = {name: each for name, each in every if name not in unknown}
    for each in known.values():
        if each["Type"] == "AWS::RDS::DBInstance":
            del each["Properties"]["DBParameterGroupName"], each["Properties"]["DBSubnetGroupName"]
    return json.dumps(_without_no_value({**content, "Parameters": parameters, "Resources": known}))


def _without_no_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_no_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_no_value(each) for each in value if not _may_be_no_value(each)]
    return value


def _may_be_no_value(value: Any) -> bool:
    return isinstance(value, dict) and value.get("Fn::If", [None])[-1] == NO_VALUE


def aws(service: str, settings: Settings) -> Any:
    return boto3.client(  # type: ignore[call-overload] # stubs of SQS alone
        service, region_name=settings.AWS_REGION, endpoint_url=settings.AWS_ENDPOINT_URL
    )


@dataclass(frozen=True)
class Made:
    name: str
    outputs: dict[str, str]
    resources: dict[str, str] = field(default_factory=dict)  # name → what moto calls it


@contextmanager
def made(settings: Settings, name: str, text: str, parameters: Mapping[str, str]) -> Iterator[Made]:
    """A stack at moto, made of the text of a template."""
    cloudformation = aws("cloudformation", settings)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=for_moto(parsed(text)),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    listed = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    # What moto knows no type of has no name in its list.
    described = [each for each in listed if "LogicalResourceId" in each]
    yield Made(
        name,
        {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in described},
    )
    cloudformation.delete_stack(StackName=name)


def new_name(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"
