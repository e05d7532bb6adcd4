"""What `connect` and `reauth` show: one read of each type, and who has to act."""

from typing import Any

import typer

from thirdsentry_pipeline.cli.output import messages, print_json, print_line, results, table_of
from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading
from thirdsentry_pipeline.domain.policy import actions_for
from thirdsentry_pipeline.domain.sides import side_of
from thirdsentry_pipeline.operations.connecting import ConnectResult

PARTIAL = 3


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
            "side": "whose side",
        }
        failures = document["failures"]
        rows = [
            {"evidence_type": kind, **read, "side": failures.get(kind, {}).get("side")}
            for kind, read in document["reads"].items()
        ]
        results().print(table_of("One read of each type", headings, rows))
        missing = sorted({action for one in failures.values() for action in one["needs"]})
        if missing:
            messages().print(
                f"The role must allow {', '.join(missing)}: see `thirdsentry onboard`, and check "
                "service control policies.",
                style="yellow",
            )
    if not result.is_complete:
        raise typer.Exit(PARTIAL)


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
        "failures": {
            kind.value: {
                "side": side_of(reading.error_code).value,
                "needs": needs_of(kind, reading),
            }
            for kind, reading in sorted(result.reads.items())
            if reading.error_code is not None
        },
    }


def needs_of(kind: EvidenceType, reading: Reading) -> list[str]:
    """The IAM actions the role has to allow for a read that was denied."""
    is_denied = reading.error_code is not None and reading.error_code.is_denial
    return list(actions_for([kind])) if is_denied else []
