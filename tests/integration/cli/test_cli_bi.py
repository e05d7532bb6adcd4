"""``bi grant`` and ``bi revoke``: a login of one organization, shown once, ended for good."""

from uuid import uuid4

import psycopg
import pytest

from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION

pytestmark = pytest.mark.integration


@pytest.fixture
def login():
    """Logins are the server's: no two tests may use one name."""
    return f"bi_{uuid4().hex[:8]}"


@pytest.fixture
def two_organizations(thirdsentry, lab):
    lab.organization()
    lab.connected()
    lab.organization(OTHER_ORGANIZATION, "Other")
    lab.connected(OTHER_ORGANIZATION, "222222222222")


def grant(thirdsentry, login, *more, organization=ORGANIZATION):
    asked = ("bi", "grant", "--organization", organization, "--login", login)
    return thirdsentry(*asked, *more)


def test_a_granted_login_reads_its_organization_and_ends_with_revoke(
    thirdsentry, two_organizations, login
):
    granted = grant(thirdsentry, login, "--json")
    assert granted.code == 0
    assert granted.err == ""
    assert set(granted.document) == {"login", "password", "url"}
    url = granted.document["url"]
    assert granted.document["login"] == login
    with psycopg.connect(url, autocommit=True) as reader:
        seen = "select distinct organization_id from warehouse.connections"
        assert reader.execute(seen).fetchall() == [(ORGANIZATION,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select * from warehouse.audit_log")
        assert thirdsentry("bi", "revoke", "--login", login, "--json").document == {
            "login": login,
            "status": "revoked",
        }
        with pytest.raises(psycopg.Error):
            reader.execute(seen).fetchall()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)
    again = thirdsentry("bi", "revoke", "--login", login)
    assert again.code == 2
    assert login in again.sentence


def test_an_auditor_reads_the_log_too(thirdsentry, two_organizations, login):
    granted = grant(thirdsentry, login, "--auditor", "--json", organization=OTHER_ORGANIZATION)
    with psycopg.connect(granted.document["url"]) as reader:
        seen = "select distinct organization_id from warehouse.audit_log"
        assert reader.execute(seen).fetchall() == [(OTHER_ORGANIZATION,)]
    assert thirdsentry("bi", "revoke", "--login", login).code == 0


def test_a_taken_name_and_an_unknown_organization_are_refused(
    thirdsentry, two_organizations, login
):
    assert grant(thirdsentry, login).code == 0
    taken = grant(thirdsentry, login, organization=OTHER_ORGANIZATION)
    assert taken.code == 1
    assert "taken" in taken.sentence
    assert grant(thirdsentry, login, organization="f" * 24).code == 2
    assert thirdsentry("bi", "revoke", "--login", login).code == 0


def test_a_name_that_tells_the_customer_comes_with_a_warning(thirdsentry, two_organizations, login):
    telling = login.replace("bi_", "acme_")
    granted = grant(thirdsentry, telling, "--json")
    assert granted.code == 0
    assert granted.document["login"] == telling
    assert "opaque" in granted.err
    assert thirdsentry("bi", "revoke", "--login", telling).code == 0
