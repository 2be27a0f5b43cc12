"""The five stacks fit together, and start the shop's processes as docs/operations.md asks for.

They are made at moto, which checks names, references and what each stack exports to the next. What
moto does not make is listed in `templates.NOT_IN_MOTO`, and nothing here proves that Amazon starts
a task so: no test has an account.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import get_commands, load_command_class
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.orders.operations import cloudwatch
from config.environment import Environment
from payments.worker.processes import FINISH_MARGIN_SECONDS
from payments.worker.worker import FINISH_SECONDS
from tests.deploy.files import explained_settings, image_command
from tests.deploy.templates import (
    ACCOUNT,
    FOLDER,
    NAMES,
    NO_VALUE,
    NOT_IN_MOTO,
    Made,
    aws,
    made,
    new_name,
    path_of,
    resources,
    template,
)
from tests.support.processes import run

TASK = "AWS::ECS::TaskDefinition"
SERVICE = "AWS::ECS::Service"

# Read by gunicorn itself (gunicorn, "Settings").
OF_GUNICORN = {"GUNICORN_CMD_ARGS"}

SERVICES = ["Web", "Publisher", "Worker", "Mailer", "WebhookSender"]
TALKS_TO_THE_QUEUE = {"Publisher", "Worker", "Commands"}


def tasks() -> dict[str, Any]:
    return {
        name.removesuffix("Task"): properties
        for stack in ("commands", "services")
        for name, properties in resources(stack, TASK).items()
    }


def roles() -> dict[str, Any]:
    return {
        name.removesuffix("Role"): properties
        for stack in ("commands", "services")
        for name, properties in resources(stack, "AWS::IAM::Role").items()
    }


def container(task: str) -> dict[str, Any]:
    [only] = tasks()[task]["ContainerDefinitions"]
    assert isinstance(only, dict)
    return only


def environment(task: str) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in container(task)["Environment"]}


def secrets_of(task: str) -> dict[str, Any]:
    """The name of a setting, or of the parameter that names it → where its value is."""
    listed = [
        each["Fn::If"][1] if "Fn::If" in each else each for each in container(task)["Secrets"]
    ]
    return {
        each["Name"] if isinstance(each["Name"], str) else each["Name"]["Ref"]: each["ValueFrom"]
        for each in listed
    }


EVERY_TASK = sorted(tasks())


def test_every_template_is_named_in_the_order_of_its_deployment() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
    for number, name in enumerate(NAMES, 1):
        assert path_of(name).read_text().startswith(f"# {number} of {len(NAMES)}: ")


def test_templates_are_deployed_without_a_bucket() -> None:
    """CloudFormation User Guide, "CloudFormation quotas": 51,200 bytes of a template's body."""
    assert max(path_of(name).stat().st_size for name in NAMES) <= 51_200


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{name}"


@pytest.fixture
def stacks(settings: Settings) -> Iterator[dict[str, Made]]:
    """All five, made in their order."""
    shop, network = new_name("t"), aws("ec2", settings)
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = ",".join(
        network.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}"
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    )
    certificate = aws("acm", settings).request_certificate(DomainName="shop.example")
    given = {
        "ShopName": shop,
        "QueueName": shop,
        "VpcId": vpc,
        "DatabaseSubnetIds": subnets,
        "TaskSubnetIds": subnets,
        "LoadBalancerSubnetIds": subnets,
        "Image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{shop}:0.1.0",
        "ShopHost": "shop.example",
        "SettingsFileArn": f"arn:aws:s3:::{shop}-settings/shop.env",
        "SecretKeyArn": arn("secretsmanager", f"secret:{shop}/secret-key"),
        "EmailUrlArn": arn("secretsmanager", f"secret:{shop}/email-url"),
        "GatewayKeySetting": "GATEWAY_KEY",
        "GatewayKeyArn": arn("secretsmanager", f"secret:{shop}/gateway-key"),
        "CertificateArn": certificate["CertificateArn"],
    }
    with ExitStack() as all_of_them:
        found = {}
        for name in NAMES:
            taken = template(name)["Parameters"].keys() & given.keys()
            parameters = {key: given[key] for key in taken}
            found[name] = all_of_them.enter_context(
                made(settings, f"{shop}-{name}", path_of(name).read_text(), parameters)
            )
        yield found


def test_every_stack_is_made_of_what_those_before_it_export(
    stacks: dict[str, Made], settings: Settings
) -> None:
    for name, stack in stacks.items():
        types = {key: each["Type"] for key, each in template(name)["Resources"].items()}
        expected = {key for key, type_ in types.items() if type_ not in NOT_IN_MOTO}
        assert set(stack.resources) == expected, name

    cluster = stacks["commands"].outputs["ClusterArn"]
    ecs = aws("ecs", settings)
    running = ecs.list_services(cluster=cluster)["serviceArns"]
    assert len(running) == len(SERVICES)
    rules = [stacks["commands"].resources[f"Daily{name}"] for name in ("Prune", "Audit")]
    for rule in rules:
        [target] = aws("events", settings).list_targets_by_rule(Rule=rule)["Targets"]
        assert target["Arn"] == cluster


def test_what_may_change_is_no_export() -> None:
    """CloudFormation changes no export that another stack imports."""
    for name in NAMES:
        for output in template(name).get("Outputs", {}).values():
            if "Export" in output:
                value = json.dumps(output["Value"])
                assert "GetAtt" in value or json.loads(value)["Ref"] in resources(name), output


def test_every_import_is_an_export_of_a_stack_before() -> None:
    exported: set[str] = set()
    for name in NAMES:
        text = path_of(name).read_text()
        imported = set(re.findall(r'ImportValue": !Sub "\$\{ShopName\}-(\w+)"', text))
        assert imported <= exported, name
        exported |= set(re.findall(r'^      Name: !Sub "\$\{ShopName\}-(\w+)"$', text, re.M))


def test_templates_name_no_gateway_and_hold_no_secret() -> None:
    for name in NAMES:
        assert not re.search("stripe|mollie|transfer", path_of(name).read_text(), re.I)
    for task in EVERY_TASK:
        assert not any(
            re.search("KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL|EMAIL_URL", each)
            for each in environment(task)
        )
        for where in secrets_of(task).values():
            assert set(where) <= {"Ref", "Fn::ImportValue"}


def test_every_kind_of_process_has_a_service_and_every_task_a_role_of_its_own() -> None:
    started = {
        name: each["TaskDefinition"] for name, each in resources("services", SERVICE).items()
    }
    assert started == {f"{kind}Service": {"Ref": f"{kind}Task"} for kind in SERVICES}
    assert set(EVERY_TASK) == {*SERVICES, "Migration", "Commands"}
    for task in EVERY_TASK:
        assert tasks()[task]["TaskRoleArn"] == {"Fn::GetAtt": [f"{task}Role", "Arn"]}


@pytest.mark.parametrize("task", EVERY_TASK)
def test_role_of_a_task_has_what_it_uses_and_nothing_else(task: str) -> None:
    role = roles()[task]
    policy = {"Commands": "Operator"}.get(task, task)

    expected = [{"Fn::ImportValue": {"Fn::Sub": f"${{ShopName}}-{policy}PolicyArn"}}]
    given = role.get("ManagedPolicyArns", [])
    assert given == (expected if task in TALKS_TO_THE_QUEUE else [])
    statements = [
        action
        for each in role.get("Policies", [])
        for statement in each["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    ]
    assert {action.partition(":")[0] for action in statements} == (
        {"ssmmessages"} if task == "Commands" else set()
    )


def test_role_that_starts_tasks_reads_the_secrets_of_this_shop_alone() -> None:
    [policy] = roles()["Execution"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]

    [reading] = [each for each in statements if "ssm:GetParameters" in each["Action"]]
    assert all(each["Fn::Sub"].endswith("${ShopName}/*") for each in reading["Resource"])
    assert [each["Action"] for each in statements if each["Resource"] == "*"] == [
        "ecr:GetAuthorizationToken"  # which has no resource
    ]
    for task in EVERY_TASK:
        expected: Any = {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
        if task in SERVICES:
            expected = {"Fn::ImportValue": {"Fn::Sub": "${ShopName}-ExecutionRoleArn"}}
        assert tasks()[task]["ExecutionRoleArn"] == expected


@pytest.mark.parametrize(
    ("secret", "tasks_"),
    [
        ("SECRET_KEY", set(EVERY_TASK)),
        ("DATABASE_URL", set(EVERY_TASK)),
        ("EMAIL_URL", {"Mailer", "Commands"}),
        ("GatewayKeySetting", {"Worker", "Commands"}),
        ("GatewayHookSetting", {"Web", "Commands"}),
    ],
)
def test_secret_is_given_to_whoever_needs_it(secret: str, tasks_: set[str]) -> None:
    assert {task for task in EVERY_TASK if secret in secrets_of(task)} == tasks_


@pytest.mark.parametrize("task", EVERY_TASK)
def test_settings_of_a_task_are_known(task: str) -> None:
    given = set(environment(task))

    assert given - explained_settings() == (OF_GUNICORN if task == "Web" else set())
    assert ("PAYMENTS_QUEUE_NAME" in given) == (task in TALKS_TO_THE_QUEUE)
    assert environment(task)["CLOUDWATCH_NAMESPACE"] == {"Ref": "ShopName"}
    assert [each["Value"] for each in container(task)["EnvironmentFiles"]] == [
        {"Ref": "SettingsFileArn"}
    ]


@pytest.mark.parametrize("task", EVERY_TASK)
def test_command_exists_and_takes_its_arguments(task: str) -> None:
    if task == "Web":
        assert "Command" not in container(task)  # the image's own
        return
    python, manage, name, *arguments = container(task)["Command"]

    assert (python, manage) == ("python", "manage.py")
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("task", EVERY_TASK)
def test_task_is_given_time_to_finish(task: str) -> None:
    """ECS Developer Guide, "Task definition parameters": at most 120 s on Fargate."""
    assert FINISH_SECONDS + FINISH_MARGIN_SECONDS < container(task)["StopTimeout"] <= 120


@pytest.mark.parametrize("task", [each for each in EVERY_TASK if each != "Commands"])
def test_task_may_write_to_its_own_tmp_alone(task: str) -> None:
    assert container(task)["ReadonlyRootFilesystem"] is True
    assert container(task)["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert container(task)["MountPoints"] == [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}]
    assert tasks()[task]["Volumes"] == [{"Name": "tmp"}]


@pytest.mark.parametrize("task", SERVICES)
def test_process_that_gets_nowhere_is_replaced(task: str) -> None:
    """Web processes are asked by the load balancer."""
    if task == "Web":
        assert "HealthCheck" not in container(task)
        return
    check = container(task)["HealthCheck"]["Command"]
    file = check[-1]

    assert check == ["CMD", "python", "manage.py", "check_worker", "--alive-file", file]
    assert container(task)["Command"][-2:] == ["--alive-file", file]
    assert file.startswith("/tmp/")


def test_web_process_answers_a_probe_that_knows_no_host_name(
    client: Client, settings: Settings
) -> None:
    """The load balancer asks by the address of the task, without TLS."""
    settings.ALLOWED_HOSTS = ["shop.example"]
    settings.SECURE_SSL_REDIRECT = True
    path = resources("services")["TargetGroup"]["HealthCheckPath"]

    assert client.get(path, headers={"Host": "10.0.1.7:8000"}).status_code == 200


def test_web_process_keeps_a_connection_for_longer_than_the_load_balancer() -> None:
    """Application Load Balancers, "Troubleshooting": a target that closes first is a 502."""
    [idle] = [
        int(each["Value"])
        for each in resources("services")["LoadBalancer"]["LoadBalancerAttributes"]
        if each["Key"] == "idle_timeout.timeout_seconds"
    ]
    kept = re.fullmatch(r"--keep-alive=(\d+)", environment("Web")["GUNICORN_CMD_ARGS"])

    assert kept
    assert int(kept.group(1)) > idle


def test_gunicorn_reads_what_the_template_adds_to_its_command() -> None:
    printed = run(
        [sys.executable, "-m", *image_command(), "--print-config"],
        {**os.environ, "GUNICORN_CMD_ARGS": environment("Web")["GUNICORN_CMD_ARGS"]},
    )

    assert re.search(r"^keepalive +=? *75$", printed.stdout, re.M), printed.stdout + printed.stderr


def test_a_form_without_tls_reaches_the_shop_which_refuses_it() -> None:
    for listener in ("Http", "Https"):
        [action] = resources("services")[listener]["DefaultActions"]
        assert action == {"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}
    assert environment("Web")["TRUST_X_FORWARDED_PROTO"] == "true"
    assert environment("Web")["TRUSTED_PROXY_COUNT"] == "1"


def test_workers_are_replaced_before_web_processes() -> None:
    assert "WorkerService" in template("services")["Resources"]["WebService"]["DependsOn"]


def test_workers_are_scaled_by_what_waits_and_never_by_their_processor() -> None:
    policies = resources("services", "AWS::ApplicationAutoScaling::ScalingPolicy")
    tracking = policies["ScaleByBacklog"]["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["CustomizedMetricSpecification"]
    alarm = resources("services")["OldestMessageScaling"]

    assert metric["Namespace"] == {"Ref": "ShopName"}
    assert metric["MetricName"] in {figure.name for figure in cloudwatch.QUEUE}
    assert alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert alarm["AlarmActions"] == [{"Ref": "ScaleByAge"}]
    assert set(policies) == {"ScaleByBacklog", "ScaleByAge"}
    assert not re.search(r"CPUUtilization|Predefined", path_of("services").read_text())
    # A release would set the number of workers back.
    assert "DesiredCount" not in resources("services")["WorkerService"]


def scheduled() -> dict[str, list[str]]:
    rules = resources("commands", "AWS::Events::Rule")
    found = {}
    for name, rule in rules.items():
        [target] = rule["Targets"]
        [override] = json.loads(target["Input"])["containerOverrides"]
        assert override["name"] == container("Commands")["Name"]
        assert override["command"][:2] == ["python", "manage.py"]
        found[name] = override["command"][2:]
    return found


def test_daily_commands_of_the_documentation_are_run_daily() -> None:
    assert sorted(scheduled().values()) == [
        ["audit_orders"],
        ["prune"],
        ["reconcile_payments", "--since", "36h"],
    ]
    documented = (FOLDER.parents[1] / "docs" / "operations.md").read_text()
    assert (
        "`manage.py reconcile_payments --since 36h` and `manage.py audit_orders` run every day"
        in (re.sub(r"\s+", " ", documented))
    )
    assert "Run `prune` by cron, once a day" in re.sub(r"\s+", " ", documented)
    for name, rule in resources("commands", "AWS::Events::Rule").items():
        assert re.fullmatch(r"cron\(0 \d \* \* \? \*\)", rule["ScheduleExpression"])
        command, *arguments = scheduled()[name]
        load_command_class(get_commands()[command], command).create_parser(
            "manage.py", command
        ).parse_args(arguments)


def test_command_that_did_not_end_well_is_told() -> None:
    """A pattern of EventBridge's ("Create event patterns", EventBridge User Guide), as it is."""
    rule = resources("alarms", "AWS::Events::Rule")["CommandFailed"]
    detail = rule["EventPattern"]["detail"]

    assert detail["group"] == [{"Fn::Sub": "family:${ShopName}-commands"}]
    assert tasks()["Commands"]["Family"] == {"Fn::Sub": "${ShopName}-commands"}
    assert detail["lastStatus"] == ["STOPPED"]
    assert detail["$or"] == [
        {"containers": {"exitCode": [{"anything-but": 0}]}},
        {"stopCode": ["TaskFailedToStart"]},
    ]
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "TicketTopic"}]


def test_database_has_the_limits_of_the_documentation() -> None:
    written = resources("database")["Limits"]["Parameters"]

    def milliseconds(limit: str) -> str:
        seconds = re.fullmatch(r"(\d+)s", limit)
        return str(int(seconds.group(1)) * 1000) if seconds else limit.replace("\\", "")

    limits = {name: milliseconds(limit) for name, limit in configured.DATABASE_LIMITS.items()}
    assert len(limits) == 5
    assert written == limits | {"rds.force_ssl": "1"}


def test_database_outlives_its_stack_and_nobody_knows_its_password() -> None:
    database = template("database")["Resources"]["Database"]

    assert database["DeletionPolicy"] == database["UpdateReplacePolicy"] == "Snapshot"
    assert database["Properties"]["DeletionProtection"] is True
    assert database["Properties"]["PubliclyAccessible"] is False
    made_here = "{{resolve:secretsmanager:${Password}:SecretString:password}}"
    assert database["Properties"]["MasterUserPassword"] == {"Fn::Sub": made_here}
    url = resources("database")["DatabaseUrl"]["SecretString"]["Fn::Sub"]
    assert (
        url
        == f"postgres://shop:{made_here}@${{Database.Endpoint.Address}}:5432/shop?sslmode=require"
    )
    assert resources("database")["Password"]["GenerateSecretString"]["ExcludePunctuation"] is True
    resolved = url.replace(made_here, "letters1").replace(
        "${Database.Endpoint.Address}", "db.local"
    )
    read = Environment({"DATABASE_URL": resolved}).database("DATABASE_URL")
    assert (read["HOST"], read["USER"], read["PASSWORD"]) == ("db.local", "shop", "letters1")
    assert read["OPTIONS"] == {"sslmode": "require"}


def test_optional_secret_is_left_out_where_it_is_not_named() -> None:
    for task in ("Web", "Commands"):
        [optional] = [each for each in container(task)["Secrets"] if "Fn::If" in each]
        assert optional["Fn::If"][0] == "HasGatewayHook"
        assert optional["Fn::If"][2] == NO_VALUE
