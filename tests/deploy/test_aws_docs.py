"""docs/aws.md, as far as it can be followed without an account: its commands run in a shell whose
`aws` writes down what it is asked, its settings pass the checks, and its sum is the sum."""

import json
import os
import re
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import Session

from tests.deploy.templates import NAMES, resources, template
from tests.deploy.test_production_settings import PRODUCTION
from tests.support.processes import ROOT, run

PAGE = (ROOT / "docs" / "aws.md").read_text()

# Commands of the CLI alone, each of several calls or none ("AWS CLI Command Reference").
OF_THE_CLI = {
    ("cloudformation", "deploy"),
    ("ecr", "get-login-password"),
    ("ecs", "execute-command"),
    ("logs", "tail"),
    ("s3", "cp"),
    ("s3", "mb"),
}
# Options that the CLI calls otherwise than the API.
RENAMED = {"notification-endpoint": "endpoint"}
# Options of every command ("AWS CLI Command Reference", "Global options").
OF_EVERY_COMMAND = {"query", "output"}

SECRET = "typed by somebody"

FAKE_AWS = """#!{python}
import json, os, sys
with open(os.environ["ASKED"], "a") as asked:
    print(json.dumps(sys.argv[1:]), file=asked)
if "file:///dev/stdin" in sys.argv:
    value = sys.stdin.read()
    assert value and value == value.strip(), "no setting takes a line break at its end"
if "exitCode" in " ".join(sys.argv):
    print(0)
elif "taskArn" in " ".join(sys.argv):
    print("arn:aws:ecs:eu-central-1:123456789012:task/once/0123")
elif "SubnetId" in " ".join(sys.argv):
    print("subnet-1\\tsubnet-2")
elif "--query" in sys.argv:
    print("told-by-aws")
"""


def block(marked: str) -> str:
    """The block of code after a mark that the page has for this test."""
    _, _, rest = PAGE.partition(f"<!-- tests: {marked} -->\n\n```\n")
    assert rest, marked
    return rest.partition("```\n")[0]


def steps() -> str:
    """All that the page has somebody type, the functions first. The file of settings is written."""
    typed = re.findall(r"^```\n(.*?)^```$", PAGE, re.M | re.S)
    functions, settings = block("functions"), block("shop.env")
    others = [each for each in typed if each not in (functions, settings)]
    assert len(typed) == len(others) + 2
    return "\n".join([functions, f"cat >shop.env <<'END'\n{settings}END", *others])


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(stat.S_IRWXU)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the whole page was typed."""
    folder = tmp_path_factory.mktemp("aws")
    programs = folder / "programs"
    programs.mkdir()
    program(programs, "aws", FAKE_AWS.format(python=sys.executable))
    program(programs, "docker", '#!/bin/sh\n[ "$1" != login ] || cat >/dev/null\n')
    program(programs, "curl", "#!/bin/sh\n")
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps()],
        cwd=folder,
        env={"PATH": f"{programs}:/usr/bin:/bin", "ASKED": str(folder / "asked")},
        input=f"{SECRET}\n" * 3,
        capture_output=True,
        text=True,
        check=False,
    )
    assert typed.returncode == 0, typed.stderr
    return folder


def asked(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def test_page_asks_aws_for_what_there_is(followed: Path) -> None:
    """Every command and option is one of Amazon's, as boto3's own description of them has it."""
    session = Session()
    calls = asked(followed)

    assert len(calls) > 40
    assert SECRET not in json.dumps(calls)  # or the list of processes would show it
    for service, command, *words in calls:
        given = {word[2:] for word in words if re.fullmatch(r"--[a-z-]+", word)}
        options = {RENAMED.get(option, option) for option in given}
        if (service, command) in OF_THE_CLI:
            continue
        model = session.get_service_model(service)
        if command == "wait":
            waiters = session.create_client(service, region_name="eu-central-1").waiter_names
            assert words[0].replace("-", "_") in waiters
            continue
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        assert command in operations, (service, command)
        shape = model.operation_model(operations[command]).input_shape
        members = shape.members if shape else {}
        known = {xform_name(member, "-") for member in members} | OF_EVERY_COMMAND
        # A flag is switched off by "no-" before its name.
        assert {option.removeprefix("no-") for option in options} <= known, (service, command)


def test_page_makes_the_stacks_in_their_order_and_takes_them_down_in_reverse(
    followed: Path,
) -> None:
    def stacks(command: str) -> list[str]:
        found = [call for call in asked(followed) if call[:2] == ["cloudformation", command]]
        return [call[call.index("--stack-name") + 1].removeprefix("once-") for call in found]

    assert list(dict.fromkeys(stacks("deploy"))) == NAMES
    assert stacks("delete-stack") == list(reversed(NAMES))


def test_parameters_of_the_page_are_all_that_the_templates_ask_for(followed: Path) -> None:
    given = dict(line.split("=", 1) for line in (followed / "shop.params").read_text().splitlines())
    known: dict[str, Any] = {}
    for name in NAMES:
        known |= template(name)["Parameters"]

    assert set(given) <= set(known)
    assert {name for name, each in known.items() if "Default" not in each} <= set(given)
    assert all(" " not in value for value in given.values())  # the shell splits the file at spaces
    assert given["DatabaseSubnetIds"] == "subnet-1,subnet-2"
    for name, value in given.items():
        if pattern := known[name].get("AllowedPattern"):
            assert re.fullmatch(pattern, value), name


def test_command_is_run_as_a_task_with_its_words(followed: Path) -> None:
    tasks = [call for call in asked(followed) if call[:2] == ["ecs", "run-task"]]
    commands = [
        json.loads(call[call.index("--overrides") + 1])["containerOverrides"] for call in tasks
    ]

    assert [{"name": "shop", "command": ["python", "manage.py", "migrate"]}] in commands
    check = ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    assert [{"name": "shop", "command": check}] in commands
    sessions = [call for call in tasks if "--enable-execute-command" in call]
    assert len(sessions) == 1
    for call in tasks:
        family = call[call.index("--task-definition") + 1]
        assert family in {"once-migration", "once-commands"}


def test_settings_of_the_page_pass_the_checks_within_the_task_of_commands(
    tmp_path: Path,
) -> None:
    [container] = resources("commands")["CommandsTask"]["ContainerDefinitions"]
    host = "shop.example"
    written = {
        each["Name"]: each["Value"]
        for each in container["Environment"]
        if isinstance(each["Value"], str)
    }
    from_the_file = dict(line.split("=", 1) for line in block("shop.env").splitlines())
    secrets = {
        name: PRODUCTION[name]
        for name in ("SECRET_KEY", "DATABASE_URL", "EMAIL_URL", "STRIPE_WEBHOOK_SECRETS")
    }
    result = run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        {
            "PATH": os.environ["PATH"],
            "DEMO_DIR": os.environ["DEMO_DIR"],  # where no demo ever runs
            **from_the_file,
            **written,
            **secrets,
            "STRIPE_SECRET_KEY": "rk_live_example",
            "SHOP_URL": f"https://{host}",
            "ALLOWED_HOSTS": host,
            "PAYMENTS_QUEUE_NAME": "payments.fifo",
            "CLOUDWATCH_NAMESPACE": "once",
            "AWS_REGION": "eu-central-1",
        },
    )

    assert result.returncode == 0, result.stderr


def test_sum_of_the_costs_is_the_sum() -> None:
    _, _, rest = PAGE.partition("<!-- tests: costs -->\n\n")
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")]
        for line in rest.partition("\n\n")[0].splitlines()[2:]
    ]
    *parts, (title, _, *sums, _) = rows

    assert title == "Together, a month"
    assert len(parts) > 10
    for number, told in enumerate(sums, 2):
        exact = sum(Decimal(row[1].strip(" ?")) * Decimal(row[number]) for row in parts)
        assert Decimal(told.replace(",", "")) == round(exact)
    for row in parts:
        remembered = "remembered" in row[-1]
        assert remembered == ("to be checked" in row[-1])
        assert remembered or re.search(r"20\d\d|the same|line above", row[-1]), row


def test_number_of_metrics_in_the_costs_is_that_of_the_code() -> None:
    from checkout.orders.operations.cloudwatch import COUNTED, QUEUE, SHOP
    from tests.deploy.test_stacks import SERVICES

    [told] = re.findall(r"^\| CloudWatch, metric and month \| [\d.]+ \| (\d+) ", PAGE, re.M)
    assert int(told) == len(SHOP) + len(QUEUE) + len(COUNTED) + len(SERVICES)

    def metrics(alarm: dict[str, Any]) -> int:
        return (
            1 if "MetricName" in alarm else sum("MetricStat" in each for each in alarm["Metrics"])
        )

    alarms = resources("alarms", "AWS::CloudWatch::Alarm").values()
    [told] = re.findall(r"^\| CloudWatch, alarm's metric and month \| [\d.]+ \| (\d+) ", PAGE, re.M)
    # And three that add workers, of which ECS itself makes two.
    assert int(told) == sum(metrics(alarm) for alarm in alarms) + 3
