"""EXPLAIN: what the planner estimates, and what it saw on the way, is the same for any guess."""

from __future__ import annotations

import re

import pytest

from tests.integration.tenancy.attacks import intruder
from tests.integration.tenancy.town import VICTIM, VICTIM_NAME, VICTIM_USER, Town

pytestmark = pytest.mark.integration

CROWD = ("c" * 24, "d" * 24, "e" * 24)
ACCOUNTS = ("555555555555", "777777777777", "111111111111")
FACTS_EACH = 3000
FILL = """
    insert into warehouse.evidence (organization_id, connection_id, account_id, evidence_type,
      subject, verdict, fingerprint, payload, payload_canonical, schema_version, first_run_id)
    select %(organization)s, gen_random_uuid(), %(account)s, 'aws.x', 'account', 'pass',
      'fp1:' || encode(sha256(convert_to(content, 'UTF8')), 'hex'), content::jsonb, content, 1,
      gen_random_uuid()
    from (
      select format('{"account_id":"%%s","n":%%s}', %(account)s::text, n) as content
      from generate_series(1, %(facts)s) as n
    ) as contents
"""
CONNECT = """
    insert into warehouse.connections (organization_id, connection_id, account_id, role_arn,
      credential_blob, key_version)
    values (%(organization)s, gen_random_uuid(), %(account)s,
      'arn:aws:iam::' || %(account)s || ':role/x', '', 1)
"""
ONLY_SEQUENTIAL = "set enable_indexscan = off; set enable_bitmapscan = off"
# A condition, what is true of the victim alone, and what is true of nobody.
GUESSES = {
    "name": ("organizations", "name > '?' and name < '?~'", VICTIM_NAME, "Basalt Mogistics"),
    "exact_name": ("organizations", "name = any (array['?'])", VICTIM_NAME, "Basalt Mogistics"),
    "account": ("evidence", "account_id >= '?' and account_id < '?~'", "5555", "6666"),
    "role": ("connections", "role_arn >= '?' and role_arn < '?~'", "arn:aws:iam::5", "arn:aws:iam::6"),
    "payload": (
        "evidence",
        "payload_canonical >= '?' and payload_canonical < '?~'",
        '{"account_id":"5',
        '{"account_id":"6',
    ),
    "payload_pattern": ("evidence", "payload_canonical ^@ '?'", '{"account_id":"5', '{"x'),
    "fingerprint": ("evidence", "fingerprint = '<victims_fingerprint>?'", "", "0"),
    "organization": ("evidence", "organization_id = '?'", VICTIM, "f" * 24),
    "organizations_around": ("evidence", "organization_id >= '?'", "c" * 24, "f" * 24),
    "title": ("assessments", "title > 'SOC 2 of ?' and title < 'SOC 2 of ?~'", "Basalt", "Casalt"),
    "audit_head": ("audit_log", "row_hash = '<victims_audit_head>?'", "", "0"),
    "attached_by": ("assessment_evidence", "attached_by = '?'", VICTIM_USER, "nobody"),
}  # fmt: skip


@pytest.fixture(scope="module")
def crowd(town: Town) -> Town:
    """With three more organizations, each with thousands of facts about an account of its own."""
    with town.connect("admin") as admin:
        admin.execute("set session_replication_role = replica")
        for organization, account in zip(CROWD, ACCOUNTS, strict=True):
            add = "insert into warehouse.organizations values (%s, 'x') on conflict do nothing"
            if admin.execute(add, (organization,)).rowcount == 0:
                continue  # the worker that shares out tests came back to this module
            filled = {"organization": organization, "account": account, "facts": FACTS_EACH}
            admin.execute(FILL, filled)
            admin.execute(CONNECT, filled)
        admin.execute("analyze")
    return town


def explain(town: Town, how: str, settings: str, table: str, condition: str) -> str:
    """The plan of a session that has asked the same before, without the guess itself."""
    with intruder(town, "auditor") as session:
        session.execute(settings)  # type: ignore[arg-type] # a test's SQL
        query = f"explain ({how}) select 1 from warehouse.{table} where {condition}"
        for _ in range(2):
            plan = session.execute(query).fetchall()  # type: ignore[arg-type] # a test's SQL
    return "\n".join(re.sub(r"'[^']*'", "'?'", line) for (line,) in plan)


@pytest.mark.parametrize("settings", ["reset all", ONLY_SEQUENTIAL], ids=["free", "sequential"])
@pytest.mark.parametrize("how", ["analyze off", "analyze, timing off, summary off, buffers on"])
@pytest.mark.parametrize("column", GUESSES)
def test_a_right_guess_explains_like_a_wrong_one(
    crowd: Town, column: str, how: str, settings: str
) -> None:
    table, condition, right, wrong = GUESSES[column]
    for name in ("fingerprint", "audit_head"):
        condition = condition.replace(f"<victims_{name}>", crowd.facts[name])
    plans = [
        explain(crowd, how, settings, table, condition.replace("?", guess))
        for guess in (right, wrong)
    ]
    assert plans[0] == plans[1]
