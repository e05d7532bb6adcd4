"""``thirdsentry connect``, ``reauth`` and ``revoke``: the life of a connection."""

import sys
from typing import Annotated, Any

import typer

from thirdsentry_pipeline.cli.options import (
    AsJson,
    ConnectionId,
    ExternalIdOnStdin,
    OrganizationId,
)
from thirdsentry_pipeline.cli.output import (
    print_json,
    print_line,
    progress_lines,
    results,
    table_of,
)
from thirdsentry_pipeline.cli.session import running_database
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import (
    RoleArn,
    parse_connection_id,
    parse_external_id,
    parse_organization_id,
)
from thirdsentry_pipeline.operations import connecting
from thirdsentry_pipeline.operations.connecting import ConnectResult
from thirdsentry_pipeline.operations.services import open_services

PARTIAL = 3


def connect(
    organization: OrganizationId,
    role_arn: Annotated[str, typer.Option(metavar="ARN", help="The role in the account.")],
    external_id_stdin: ExternalIdOnStdin = False,
    as_json: AsJson = False,
) -> None:
    """Prove the role's trust policy, read each evidence type once, and store the connection."""
    organization_id = parse_organization_id(organization)
    role = RoleArn.parse(role_arn)
    external_id = external_id_from_stdin() if external_id_stdin else None
    report = progress_lines()
    with running_database() as settings, open_services(settings) as services:
        report(f"Proving the trust policy of {role} and reading account {role.account_id}")
        result = connecting.connect(services, organization_id, str(role), external_id)
    show(result, "Connected", as_json=as_json)


def reauth(
    organization: OrganizationId,
    connection: ConnectionId,
    role_arn: Annotated[
        str | None, typer.Option(metavar="ARN", help="Another role of the same account.")
    ] = None,
    external_id_stdin: ExternalIdOnStdin = False,
    as_json: AsJson = False,
) -> None:
    """Prove a connection again, with the stored or new values, and make it active."""
    organization_id = parse_organization_id(organization)
    identity = parse_connection_id(connection)
    role = None if role_arn is None else str(RoleArn.parse(role_arn))
    external_id = external_id_from_stdin() if external_id_stdin else None
    with running_database() as settings, open_services(settings) as services:
        result = connecting.reauth(
            services, organization_id, str(identity), role_arn=role, external_id=external_id
        )
    show(result, "Active again", as_json=as_json)


def revoke(organization: OrganizationId, connection: ConnectionId, as_json: AsJson = False) -> None:
    """Forget the connection's external id and stop reading; its history stays."""
    organization_id = parse_organization_id(organization)
    identity = parse_connection_id(connection)
    with running_database() as settings, open_services(settings) as services:
        connecting.revoke(services, organization_id, str(identity))
    if as_json:
        print_json({"connection_id": str(identity), "status": "revoked"})
    else:
        print_line(f"Connection {identity} is revoked; its evidence stays readable as history.")


def external_id_from_stdin() -> str:
    """The external id from one line of stdin, its newline dropped.

    Raises:
        InputError: the line is missing or no external id; the text never repeats it.
    """
    line = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not line:
        message = "stdin held no external id: give it as one line, such as acme-audit-2026."
        raise InputError(message)
    return parse_external_id(line)


def document_of(result: ConnectResult) -> dict[str, Any]:
    """The contract's JSON of a connection that was proven."""
    return {
        "connection_id": str(result.connection_id),
        "account_id": result.account_id,
        "status": result.status,
        "reads": {
            kind.value: {
                "read_status": reading.read_status.value,
                "verdict": reading.verdict and reading.verdict.value,
                "error_code": reading.error_code and reading.error_code.value,
            }
            for kind, reading in sorted(result.reads.items())
        },
    }


def show(result: ConnectResult, title: str, *, as_json: bool) -> None:
    """Print the dry reads; exits with 3 when one of them did not succeed."""
    document = document_of(result)
    if as_json:
        print_json(document)
    else:
        print_line(f"{title}: account {result.account_id} as connection {result.connection_id}.")
        headings = {
            "evidence_type": "evidence",
            "read_status": "read",
            "verdict": "verdict",
            "error_code": "error",
        }
        rows = [{"evidence_type": kind, **read} for kind, read in document["reads"].items()]
        results().print(table_of("One read of each type", headings, rows))
    if not result.is_complete:
        raise typer.Exit(PARTIAL)
