"""Growing logs, and changing them as only a superuser can."""

from sqlalchemy import text

from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.audit_chain import row_hash

SWITCHES = {
    "audit_log": ("audit_chain", "append_only"),
    "audit_heads": ("never_deleted",),
}
REPAIRED_HEAD = (
    "update warehouse.audit_heads as h set (seq, row_hash) = (select a.seq, a.row_hash"
    " from warehouse.audit_log as a where a.organization_id = h.organization_id"
    " order by a.seq desc limit 1)"
)


def lengthen(tenant, rows):
    with tenant.scope() as c:
        for number in range(rows):
            audit.append(c, "connect", actor="zoe", detail={"number": number})


def tamper(admin, *statements):
    """Run statements with every trigger of the log off, and turn the triggers on again."""
    with admin.begin() as c:
        for table in SWITCHES:
            c.execute(text(f"alter table warehouse.{table} disable trigger user"))
        for statement in statements:
            c.execute(text(statement))
        for table, triggers in SWITCHES.items():
            for trigger in triggers:
                c.execute(text(f"alter table warehouse.{table} enable always trigger {trigger}"))


def rewrite(admin, tenant, from_seq):
    """Change the rows from one on and hash them anew, head included: consistent in itself."""
    with tenant.scope() as c:
        rows = sorted(audit.read_log(c), key=lambda row: row["seq"])
    previous = rows[from_seq - 2]["row_hash"] if from_seq > 1 else "0" * 64
    statements = []
    for row in rows[from_seq - 1 :]:
        forged = row_hash(
            organization_id=row["organization_id"],
            seq=row["seq"],
            occurred_at=row["occurred_at"],
            actor="nobody",
            db_user=row["db_user"],
            action=row["action"],
            connection_id=None,
            run_id=None,
            detail="{}",
            prev_hash=previous,
        )
        statements.append(
            "update warehouse.audit_log set actor = 'nobody', detail = '{}',"
            f" prev_hash = '{previous}', row_hash = '{forged}' where seq = {row['seq']}"
        )
        previous = forged
    tamper(admin, *statements, REPAIRED_HEAD)
