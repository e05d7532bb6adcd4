"""Becoming somebody else: roles, sessions, grants, and functions that run as another."""

from __future__ import annotations

import psycopg
import pytest

from tests.integration.tenancy.attacks import Attempt, harmless, judge, refused, table_of
from tests.integration.tenancy.town import ATTACKER, VICTIM, Town
from thirdsentry_pipeline.warehouse import bi_logins
from thirdsentry_pipeline.warehouse.catalogue import find_problems

pytestmark = pytest.mark.integration

SET_ROLE = {
    f"{login}_sets_role_{role}": refused(login, f'set role "{role}"')
    for login, roles in {
        "bi": "ts_pipeline ts_owner ts_transform ts_auditor ts_retention ts_bi_admin ts_backup ts_checker"
        " ts_scheduler thirdsentry_pipeline <victims_login> postgres",
        "auditor": "ts_pipeline ts_owner",
        "scheduler": "ts_pipeline ts_owner ts_bi",
        "pipeline": "ts_owner ts_transform ts_retention ts_bi_admin ts_backup ts_checker",
        "transform": "ts_owner ts_pipeline ts_checker",
    }.items()
    for role in roles.split()
}
BECOMING = {
    "set_session_authorization": refused("bi", "set session authorization <victims_login>"),
    "session_authorization_of_the_pipeline": refused(
        "auditor", "set session authorization thirdsentry_pipeline"
    ),
    "alter_own_role_to_superuser": refused("bi", "alter role <my_login> superuser"),
    "alter_own_role_to_bypass": refused("pipeline", "alter role current_user bypassrls"),
    "take_over_the_victims_login_name": refused(
        "bi", "alter role <my_login> rename to <victims_login>x", by="0A000"
    ),
    "alter_the_victims_password": refused("bi", "alter role <victims_login> password 'mine'"),
    "create_a_role": refused("bi", "create role mole login"),
    "join_the_pipeline": refused("bi", "grant ts_pipeline to <my_login>"),
    "join_the_login_admin": refused("pipeline", "grant ts_bi_admin to thirdsentry_pipeline"),
    "grant_a_table_onwards": harmless(
        "bi",
        "grant select on warehouse.evidence to public",
        "select has_table_privilege('public', 'warehouse.evidence', 'select')",
        gives=[(False,)],
    ),
    "turn_row_security_off": refused(
        "bi", "set row_security = off", "select * from warehouse.evidence"
    ),
    "turn_row_security_off_in_the_pipeline": refused(
        "pipeline", "set local row_security = off", "select * from warehouse.audit_log"
    ),
    "turn_row_security_off_by_alter_role": harmless(
        "bi", "alter role <my_login> set row_security = off", "alter role <my_login> reset all"
    ),
    "disable_the_policies": refused(
        "pipeline", "alter table warehouse.evidence disable row level security"
    ),
    "add_a_policy": refused("pipeline", "create policy mine on warehouse.evidence using (true)"),
    "skip_the_triggers": refused("pipeline", "set local session_replication_role = replica"),
    "act_as_the_group": harmless(
        "bi", "set role ts_bi", "select * from warehouse.organizations"
    ),
    "drop_the_victims_login_by_function": harmless(
        "pipeline", "select warehouse.drop_bi_login('<victims_login>')"
    ),
    "drop_the_victims_login_as_reader": refused(
        "bi", "select warehouse.drop_bi_login('<victims_login>')"
    ),
    "make_a_login_without_a_scope": refused(
        "pipeline unscoped", "select warehouse.create_bi_login('bi_x1', 'x', 'ts_bi', 'me')"
    ),
    "make_a_login_of_another_role": refused(
        "pipeline",
        "select warehouse.create_bi_login('bi_x1', 'SCRAM-SHA-256$4096:YQ==$YQ==:YQ==',"
        " 'ts_owner', 'me')",
        by="22023",
    ),
    "smuggle_sql_in_a_login_name": refused(
        "pipeline",
        "select warehouse.create_bi_login('bi\"; drop table x; --',"
        " 'SCRAM-SHA-256$4096:YQ==$YQ==:YQ==', 'ts_bi', 'me')",
        by="22023",
    ),
    "give_an_existing_superuser_a_binding": refused(
        "pipeline",
        "select warehouse.create_bi_login('postgres', 'SCRAM-SHA-256$4096:YQ==$YQ==:YQ==',"
        " 'ts_bi', 'me')",
        by="42710",
    ),
    "bind_own_login_to_the_victim": refused(
        "bi",
        "insert into warehouse.bi_logins (organization_id, login, reader_role, granted_by)"
        " values ('<victim>', '<my_login>', 'ts_bi', 'me')",
    ),
    "list_the_bindings": refused("bi", "select * from warehouse.bi_logins"),
    "list_the_bindings_of_others": harmless(
        "pipeline", "select * from warehouse.bi_logins where organization_id = '<victim>'"
    ),
    "prune_as_reader": refused("bi", "select warehouse.prune_organization('me')"),
    "list_organizations_as_reader": refused("bi", "select warehouse.live_organization_ids()"),
    "list_organizations_as_pipeline": refused(
        "pipeline", "select warehouse.live_organization_ids()"
    ),
    "claim_as_reader": refused(
        "bi", "select warehouse.claim_identity('role_arn', repeat('0', 64))"
    ),
    "read_the_claims": refused("pipeline", "select * from warehouse.identity_claims"),
    "read_the_claims_key": refused("pipeline", "select secret from warehouse.identity_secret"),
    "call_the_chain_function": refused("pipeline", "select warehouse.audit_field('x')"),
    "call_the_tenant_function_as_scheduler": refused(
        "scheduler", "select warehouse.require_organization()"
    ),
}  # fmt: skip


@table_of(SET_ROLE)
def test_no_login_becomes_another_role(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


@table_of(BECOMING)
def test_no_login_gets_rights_it_was_not_given(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


def test_granted_logins_are_nothing_to_complain_about(town: Town) -> None:
    """The catalogue's check stays quiet on an installation with readers."""
    with town.database.engine("admin").connect() as c:
        assert find_problems(c) == []


def test_another_organizations_claim_is_refused_without_saying_whose(town: Town) -> None:
    digest = "2".ljust(64, "0")
    seen = judge(
        town, harmless("pipeline", f"select warehouse.claim_identity('role_arn', '{digest}')")
    )
    assert seen.rows == [(False,)]


def test_pruning_reaches_the_organization_of_the_scope_alone(town: Town) -> None:
    with town.connect("admin") as admin:
        admin.execute("update warehouse.organizations set retention_days = 30")
    judge(town, harmless("pipeline", "select * from warehouse.prune_organization('me')"))


def test_an_old_session_does_not_inherit_its_names_next_organization(town: Town) -> None:
    with town.attacker.scope() as c:
        first = bi_logins.grant_login(c, "bi_passed_on", actor="zoe")
    town.readers["passed_on"] = first
    with town.connect("passed_on") as session:
        seen = "select distinct organization_id from warehouse.evidence"
        assert session.execute(seen).fetchall() == [(ATTACKER,)]
        with town.attacker.scope() as c:
            bi_logins.revoke_login(c, "bi_passed_on", actor="zoe")
        with town.victim.scope() as c:
            second = bi_logins.grant_login(c, "bi_passed_on", actor="zoe")
        with pytest.raises(psycopg.Error):
            session.execute(seen)
        town.readers["passed_on"] = second
        with town.connect("passed_on") as theirs:
            assert theirs.execute(seen).fetchall() == [(VICTIM,)]
    with town.victim.scope() as c:
        bi_logins.revoke_login(c, "bi_passed_on", actor="zoe")
    del town.readers["passed_on"]


@pytest.mark.parametrize(
    "belonging",
    [
        "alter default privileges grant select on tables to public",
        "select lo_create(0)",
    ],
    ids=["default_privileges", "large_object"],
)
def test_a_login_that_owns_something_is_revoked_all_the_same(town: Town, belonging: str) -> None:
    name = f"bi_owner_{len(belonging)}"
    with town.attacker.scope() as c:
        town.readers["owner"] = bi_logins.grant_login(c, name, actor="zoe")
    with town.connect("admin") as admin:
        # A managed Postgres leaves large objects to everyone.
        admin.execute(f"grant execute on function lo_create(oid) to {name}")
    with town.connect("owner") as session:
        session.execute("set default_transaction_read_only = off")
        session.execute(belonging)  # type: ignore[arg-type] # a test's SQL
        with town.attacker.scope() as c:
            bi_logins.revoke_login(c, name, actor="zoe")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select * from warehouse.evidence")
    with pytest.raises(psycopg.OperationalError), town.connect("owner"):
        pass
    with town.connect("admin") as admin:
        admin.execute(f"drop owned by {name}")
        admin.execute(f"drop role {name}")
    del town.readers["owner"]
