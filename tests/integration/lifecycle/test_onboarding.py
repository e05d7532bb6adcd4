"""One external id per connection to come, whoever asks and however many at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.identifiers import parse_external_id
from thirdsentry_pipeline.operations import connecting
from thirdsentry_pipeline.operations.connecting import connect, reauth, stored_external_id
from thirdsentry_pipeline.operations.onboarding import onboard

pytestmark = pytest.mark.integration

OTHER_ACCOUNT = "222222222222"
OWN_ID = "customer-chosen-id-0001"


def onboarded(acme, organization_id=ORGANIZATION):
    return onboard(acme.services, organization_id).external_id


def proven_together(monkeypatch):
    """Two connects that have both proven their roles before either stores."""
    both = Barrier(2, timeout=60)
    prove = connecting._prove

    def proven(*arguments):
        reads = prove(*arguments)
        both.wait()
        return reads

    monkeypatch.setattr(connecting, "_prove", proven)


def connected_at_once(acme, *calls):
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(connect, acme.services, ORGANIZATION, *call) for call in calls]
        return [future.exception(timeout=120) for future in futures]


def test_every_connection_to_come_has_an_id_of_its_own(acme):
    ids = [onboarded(acme)]
    for number in range(4):
        organization_id = f"65f0a1b2c3d4e5f6a7b8ca{number:02d}"
        acme.organization(organization_id, f"Organization {number}")
        ids.append(onboarded(acme, organization_id))
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        acme.connected(account_id=account_id)
        ids.append(onboarded(acme))
    assert len(set(ids)) == len(ids)
    assert all(parse_external_id(one) == one and len(one) >= 43 for one in ids)


def test_two_operators_who_onboard_at_once_are_shown_the_same_id(acme):
    with ThreadPoolExecutor(2) as pool:
        shown = set(pool.map(lambda _: onboarded(acme), range(2)))
    assert shown == {onboarded(acme)}


def test_two_connects_at_once_cannot_both_have_the_onboarded_id(acme, monkeypatch):
    arns = [acme.role(account_id=account_id) for account_id in (ACCOUNT, OTHER_ACCOUNT)]
    proven_together(monkeypatch)
    errors = [one for one in connected_at_once(acme, *((arn,) for arn in arns)) if one]
    assert [type(one) for one in errors] == [ThirdSentryError]
    assert "thirdsentry onboard" in str(errors[0])
    assert acme.value("select count(*) from warehouse.connections") == 1
    assert len(acme.audited("connect")) == 1


def test_two_connects_at_once_connect_an_account_once(acme, monkeypatch):
    made = onboard(acme.services, ORGANIZATION)
    trust = json.loads(json.dumps(made.trust_policy).replace(made.external_id, OWN_ID))
    arn = acme.role(trust=trust)
    proven_together(monkeypatch)
    errors = [one for one in connected_at_once(acme, (arn, OWN_ID), (arn, OWN_ID)) if one]
    assert len(errors) == 1
    assert "connected already" in str(errors[0])
    assert acme.value("select count(*) from warehouse.connections") == 1


def test_an_id_taken_over_by_reauth_is_not_onboarded_again(acme):
    connection_id = acme.connected()
    acme.role()
    fresh = onboarded(acme)
    reauth(acme.services, ORGANIZATION, str(connection_id), external_id=fresh)
    assert stored_external_id(acme.services, ORGANIZATION, connection_id) == fresh
    assert onboarded(acme) != fresh
