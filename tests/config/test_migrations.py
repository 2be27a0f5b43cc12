"""Migrations run while the previous release still serves: they add, and take away nothing."""

from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.fields import NOT_PROVIDED

# The last migration of each app in the last published release. A release sets its own here; what
# is taken away goes in the release after the one whose code has stopped using it.
RELEASED = {
    "catalogue": "0001_initial",
    "checkout": "0001_initial",
    "orders": "0002_action_expiry_refunded_person",
    "payments": "0002_refund_webhookevent_surplus",
    "bank_transfer": "0002_groups",  # new since then, where a shop has it
    "texts": "0001_shop_texts",  # new since then: the release before knows none of its tables
}

REMOVES = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def breaks_previous_release(operation: Operation, app: str, before: ProjectState) -> bool:
    """Whether code that does not know of an operation could fail to read or write after it."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return any(
            breaks_previous_release(inner, app, before) for inner in operation.database_operations
        )
    if isinstance(operation, migrations.AddField):
        return needs_a_value(operation.field)
    if isinstance(operation, migrations.AlterField):
        old = before.models[app, operation.model_name_lower].fields[operation.name]
        became_needed = needs_a_value(operation.field) and not needs_a_value(old)
        return became_needed or column(old) != column(operation.field)
    if isinstance(operation, migrations.RunSQL):
        # Its words are all there is to go by. What is refused here without reason can be said in
        # Django's operations, which are understood.
        statements = str(operation.sql).upper()
        return any(word in statements for word in ("DROP ", "RENAME ", "NOT NULL"))
    return isinstance(operation, REMOVES)


def needs_a_value(field: models.Field[Any, Any]) -> bool:
    """An INSERT that leaves the column out fails. Django's own default is not the database's."""
    if field.many_to_many or isinstance(field, models.GeneratedField):
        return False
    return not field.null and field.db_default is NOT_PROVIDED


def column(field: models.Field[Any, Any]) -> tuple[str, str | None]:
    return field.get_internal_type(), field.db_column


def state_with(**fields: models.Field[Any, Any]) -> ProjectState:
    state = ProjectState()
    state.add_model(ModelState("shop", "Thing", list(fields.items())))
    return state


def breaking_since(released: dict[str, str]) -> list[str]:
    loader = MigrationLoader(None)
    breaking = []
    for app, last in released.items():
        [head] = loader.graph.leaf_nodes(app)
        plan = [name for label, name in loader.graph.forwards_plan(head) if label == app]
        for name in plan[plan.index(last) + 1 :]:
            state = loader.project_state((app, name), at_end=False)
            for operation in loader.graph.nodes[app, name].operations:
                if breaks_previous_release(operation, app, state):
                    breaking.append(f"{app}.{name}: {operation.describe()}")
                operation.state_forwards(app, state)
    return breaking


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_app_of_ours_has_its_released_schema() -> None:
    ours = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}

    assert set(RELEASED) == ours


def test_previous_release_runs_on_the_new_schema() -> None:
    assert breaking_since(RELEASED) == []


def test_column_that_was_taken_away_before_the_first_release_would_be_noticed() -> None:
    before = RELEASED | {"payments": "0001_initial"}

    assert breaking_since(before) == [
        "payments.0002_refund_webhookevent_surplus: Remove field action_url from payment"
    ]


TEXT = models.CharField(max_length=20)


@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        (migrations.AddField("thing", "x", models.CharField(max_length=20, default="")), True),
        (migrations.AddField("thing", "x", models.CharField(max_length=20, null=True)), False),
        (migrations.AddField("thing", "x", models.IntegerField(db_default=0)), False),
        (migrations.AddField("thing", "x", models.ManyToManyField("shop.Thing")), False),
        (migrations.RemoveField("thing", "maybe"), True),
        (migrations.RenameField("thing", "maybe", "perhaps"), True),
        (migrations.RenameModel("Thing", "Object"), True),
        (migrations.DeleteModel("Thing"), True),
        (migrations.AlterModelTable("thing", "other"), True),
        (migrations.AlterField("thing", "maybe", TEXT), True),
        (migrations.AlterField("thing", "text", models.CharField(max_length=40)), False),
        (migrations.AlterField("thing", "text", models.IntegerField()), True),
        (migrations.CreateModel("Other", [("x", TEXT)]), False),
        (migrations.AddIndex("thing", models.Index(fields=["text"], name="x")), False),
        (migrations.RunSQL("ALTER TABLE shop_thing DROP COLUMN maybe"), True),
        (
            migrations.SeparateDatabaseAndState(
                database_operations=[migrations.RemoveField("thing", "maybe")]
            ),
            True,
        ),
        (
            migrations.SeparateDatabaseAndState(
                state_operations=[migrations.RemoveField("thing", "maybe")]
            ),
            False,
        ),
    ],
    ids=lambda value: value.describe() if isinstance(value, Operation) else "",
)
def test_operation_that_breaks_the_previous_release_is_known(
    operation: Operation, breaks: bool
) -> None:
    state = state_with(text=TEXT, maybe=models.CharField(max_length=20, null=True))

    assert breaks_previous_release(operation, "shop", state) is breaks
