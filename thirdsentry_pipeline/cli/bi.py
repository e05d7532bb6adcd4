"""``thirdsentry bi``: read-only logins, each bound to one organization."""

import re
from typing import Annotated

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import messages, print_json, print_line
from thirdsentry_pipeline.cli.session import (
    login_engine,
    organization_names,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.settings import with_login
from thirdsentry_pipeline.settings_files import Login
from thirdsentry_pipeline.warehouse import bi_logins
from thirdsentry_pipeline.warehouse.audit import SYSTEM_ACTOR
from thirdsentry_pipeline.warehouse.scope import organization_scope

LoginName = Annotated[
    str,
    typer.Option(
        "--login",
        metavar="NAME",
        help="Name of the login, such as bi_7f3a; every login of the server can list the names.",
    ),
]

app = typer.Typer(
    help="Grant and revoke read-only logins for BI tools and auditors.", no_args_is_help=True
)


@app.command()
def grant(
    organization: OrganizationId,
    login: LoginName,
    auditor: Annotated[
        bool,
        typer.Option("--auditor", help="Also the audit log and the assessments, besides coverage."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a login that reads this organization alone; its password is shown this once."""
    organization_id = parse_organization_id(organization)
    name = bi_logins.parse_login(login)
    role: bi_logins.ReaderRole = "ts_auditor" if auditor else "ts_bi"
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        with organization_scope(engine, organization_id) as connection:
            organization_name = require_organization(connection, organization_id)
            granted = bi_logins.grant_login(connection, name, actor=SYSTEM_ACTOR, reader_role=role)
        pipeline_url = settings.login_url("pipeline")
        url = with_login(
            pipeline_url, Login(granted.login, granted.password), settings.warehouse_database
        )
    if tells_the_organization(name, organization_name):
        messages().print(
            escape(
                f"The name {name} tells whose login it is, and every login of this Postgres can "
                "list the names: an opaque one, such as bi_7f3a, would not."
            )
        )
    if as_json:
        print_json({"login": granted.login, "password": granted.password, "url": url})
    else:
        print_line(f"login     {granted.login}\npassword  {granted.password}\nurl       {url}")


@app.command()
def revoke(login: LoginName, as_json: AsJson = False) -> None:
    """End a login; its open sessions read nothing from then on."""
    name = bi_logins.parse_login(login)
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        for organization_id in organization_names(settings, engine):
            with organization_scope(engine, organization_id) as connection:
                if any(one["login"] == name for one in bi_logins.list_logins(connection)):
                    bi_logins.revoke_login(connection, name, actor=SYSTEM_ACTOR)
                    break
        else:
            message = f"No organization has a login {name}."
            raise InputError(message)
    if as_json:
        print_json({"login": name, "status": "revoked"})
    else:
        print_line(f"The login {name} is revoked.")


def tells_the_organization(login: str, organization_name: str) -> bool:
    """Whether the login's name holds a word of the organization's name."""
    words = re.findall(r"[a-z0-9]{4,}", organization_name.lower())
    return any(word in login for word in words)
