"""Compares the database with what the migrations made: every wall has to be where it was.

Two checks that do not trust each other. The rules say what must hold for every table, function
and view, those of later migrations and of dbt included. The expected lines (``catalogue.json``)
say what must be there, so that a policy or a trigger that was dropped by hand is missed.

After a migration: ``python -m thirdsentry_pipeline.warehouse.catalogue DATABASE_URL`` prints the
new expected lines; read the difference before keeping it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from thirdsentry_pipeline.warehouse.database import engine_for

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection

HERE = Path(__file__).parent
EXPECTED = HERE / "catalogue.json"

# Each query gives the sentences of what breaks its rule.
_RULES = (
    # A tenant's table hides other tenants' rows, from its owner too.
    """
    select format('%s has no forced row security', c.oid::regclass)
    from pg_class as c
    where c.relnamespace::regnamespace::text in ('warehouse', 'coverage')
        and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
        and exists (select from pg_attribute as a where a.attrelid = c.oid
            and a.attname = 'organization_id' and not a.attisdropped)
    """,
    """
    select format('%s has no policy', c.oid::regclass)
    from pg_class as c
    where c.relkind in ('r', 'p') and c.relnamespace = 'warehouse'::regnamespace
        and exists (select from pg_attribute as a where a.attrelid = c.oid
            and a.attname = 'organization_id' and not a.attisdropped)
        and not exists (select from pg_policy as p where p.polrelid = c.oid)
    """,
    # Statistics are of all organizations, and EXPLAIN shows what they hold, guess by guess.
    """
    select format('%s.%s has statistics that EXPLAIN tells from', c.oid::regclass, a.attname)
    from pg_class as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace::regnamespace::text in ('warehouse', 'coverage')
        and c.relkind in ('r', 'p') and c.relrowsecurity and coalesce(a.attstattarget, -1) <> 0
        and a.atttypid in (
            'text'::regtype, 'text[]'::regtype, 'bytea'::regtype, 'jsonb'::regtype)
        and a.attname not in (
            'connector', 'status', 'error_code', 'evidence_type', 'subject', 'verdict',
            'read_status', 'last_attempt_status', 'last_error_code', 'kind', 'action',
            'reader_role', 'framework', 'control_id', 'control_status')
    """,
    # Keys begin with the organization; two are the cluster's or the product's on purpose.
    """
    select format('%s does not begin with organization_id', i.indexrelid::regclass)
    from pg_index as i
    inner join pg_class as c on c.oid = i.indrelid
    inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'warehouse'::regnamespace and i.indisunique
        and i.indkey[0] <> a.attnum
        and i.indexrelid::regclass::text not in (
            'warehouse.identity_claims_one_organization', 'warehouse.bi_logins_one_organization')
    """,
    """
    select format('%s has no primary key', c.oid::regclass)
    from pg_class as c
    where c.relnamespace = 'warehouse'::regnamespace and c.relkind in ('r', 'p')
        and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)
    """,
    # A reference from a tenant's row stays with the tenant.
    """
    select format('%s of %s leaves organization_id out', k.conname, k.conrelid::regclass)
    from pg_constraint as k
    inner join pg_class as c on c.oid = k.conrelid
    inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'warehouse'::regnamespace and k.contype = 'f'
        and not a.attnum = any(k.conkey)
    """,
    """
    select format('%s has organization_id and no foreign key', c.oid::regclass)
    from pg_class as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'warehouse'::regnamespace and c.relkind in ('r', 'p')
        and c.relname <> 'organizations'
        and not exists (select from pg_constraint as k where k.conrelid = c.oid and k.contype = 'f')
    """,
    # Names inside a definer function can't be shadowed by a temporary table.
    """
    select format('%s may be led astray: its search_path does not end in pg_temp',
        p.oid::regprocedure)
    from pg_proc as p
    where p.prosecdef and p.pronamespace::regnamespace::text in ('warehouse', 'coverage', 'public')
        and not coalesce(
            'search_path=warehouse, pg_catalog, pg_temp' = any(p.proconfig), false)
    """,
    # A view reads with its reader's rights; a materialized view could not.
    """
    select format('%s reads with its owner''s rights', c.oid::regclass)
    from pg_class as c
    where c.relnamespace::regnamespace::text in ('warehouse', 'coverage')
        and (c.relkind = 'm' or c.relkind = 'v'
            and not coalesce(
                c.reloptions && array['security_invoker=true', 'security_invoker=on'], false))
    """,
    # Triggers fire for replication too.
    """
    select format('%s on %s does not always fire', g.tgname, g.tgrelid::regclass)
    from pg_trigger as g
    inner join pg_class as c on c.oid = g.tgrelid
    where c.relnamespace = 'warehouse'::regnamespace and not g.tgisinternal and g.tgenabled <> 'A'
    """,
    # No login is above row security but an administrator's, and none may become a powerful role.
    """
    select format('%s can act as %s', m.member::regrole, m.roleid::regrole)
    from pg_auth_members as m
    inner join pg_roles as r on r.oid = m.member
    where m.roleid::regrole::text in (
            'ts_owner', 'ts_retention', 'ts_bi_admin', 'ts_backup', 'ts_checker')
        and not r.rolsuper and not r.rolcreaterole
    """,
    """
    select format('%s belongs to %s', c.oid::regclass, c.relowner::regrole)
    from pg_class as c
    where c.relnamespace = 'warehouse'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
        and c.relname <> 'schema_revision' and c.relowner <> 'ts_owner'::regrole
    """,
)


def describe(c: DatabaseConnection) -> list[str]:
    """One line per wall: policies, triggers, keys, functions, grants, roles."""
    query = (HERE / "catalogue.sql").read_text(encoding="utf-8")
    return sorted(c.scalars(text(query)))


def broken_rules(c: DatabaseConnection) -> list[str]:
    """Sentences about what breaks a rule that holds for everything."""
    return [sentence for rule in _RULES for sentence in c.scalars(text(rule))]


def find_problems(c: DatabaseConnection) -> list[str]:
    """What is missing, what nobody expects, and what breaks a rule; empty when all stands."""
    expected = set(json.loads(EXPECTED.read_text(encoding="utf-8")))
    found = set(describe(c))
    return [
        *(f"missing: {line}" for line in sorted(expected - found)),
        *(f"unexpected: {line}" for line in sorted(found - expected)),
        *broken_rules(c),
    ]


def main(url: str) -> None:
    """Print the lines of a freshly migrated database as ``catalogue.json`` holds them."""
    with engine_for(url, pool=False).connect() as c:
        sys.stdout.write(json.dumps(describe(c), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
