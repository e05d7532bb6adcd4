"""``thirdsentry organization``: the tenants."""

from typing import Annotated

import typer

from thirdsentry_pipeline.cli.options import AsJson
from thirdsentry_pipeline.cli.output import print_json, print_line, show_rows
from thirdsentry_pipeline.cli.session import login_engine, organization_names, running_database
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.warehouse.organizations import add_organization, get_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

NAME_LENGTH = 200

app = typer.Typer(help="Add and list organizations.", no_args_is_help=True)


@app.command()
def add(
    organization_id: Annotated[
        str, typer.Option("--id", metavar="OID", help="24 lowercase hex characters.")
    ],
    name: Annotated[str, typer.Option(help="The name people know it by.")],
    as_json: AsJson = False,
) -> None:
    """Add an organization; adding it again with the same name changes nothing."""
    organization_id = parse_organization_id(organization_id)
    name = parse_name(name)
    with (
        running_database() as settings,
        login_engine(settings, "pipeline") as engine,
        organization_scope(engine, organization_id) as connection,
    ):
        present = get_organization(connection)
        if present is None:
            add_organization(connection, organization_id, name)
        elif present.name != name:
            message = f"Organization {organization_id} exists already, under another name."
            raise InputError(message)
    if as_json:
        print_json({"organization_id": organization_id, "name": name, "is_new": present is None})
    else:
        print_line(f"{organization_id}  {name}  ({'added' if present is None else 'unchanged'})")


@app.command("list")
def list_organizations(as_json: AsJson = False) -> None:
    """List the organizations with their names."""
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        names = organization_names(settings, engine)
    rows = [{"organization_id": key, "name": name} for key, name in names.items()]
    show_rows(
        rows,
        {"organization_id": "organization", "name": "name"},
        title="Organizations",
        as_json=as_json,
        empty="There is no organization yet: add one with `thirdsentry organization add`.",
    )


def parse_name(text: str) -> str:
    """The name without surrounding blanks; raises InputError when it can't be shown."""
    name = text.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        message = f'--name needs 1 to {NAME_LENGTH} printable characters, such as "Acme Health".'
        raise InputError(message)
    return name
