"""Sinks that take, refuse, hang and vanish; nothing is lost, and nothing is told twice for fun."""

import json
import logging
import socket
from datetime import timedelta
from threading import Event, Thread

import pytest
import urllib3

from tests.integration.alerts.conftest import Recorder, receiving
from tests.integration.dbt.coverage_rows import hours_ago
from thirdsentry_pipeline.domain.alert_message import DeliveryError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.operations import alert_sinks
from thirdsentry_pipeline.operations.alert_sinks import LogSink, Webhook
from thirdsentry_pipeline.operations.alerts import FIRST_RETRY, LONGEST_RETRY

pytestmark = pytest.mark.integration
TYPES = len(EvidenceType)


def waits(lab):
    """Seconds until the next attempt, and the attempts so far."""
    (row,) = lab.rows(
        "select distinct round(extract(epoch from next_delivery_at - now()))::int as seconds,"
        " delivery_attempts as attempts, last_delivery_error as error from warehouse.alerts"
    )
    return row["seconds"], row["attempts"], row["error"]


def test_topic_delivers_opening_and_resolution_to_a_queue(lab, topic):
    tenant, connection_id = lab.stale()
    assert lab.evaluate(topic.sink).delivered == TYPES
    (received,) = topic.take()
    assert received["Subject"] == "ThirdSentry: Acme: 7 alerts opened"
    assert received["MessageAttributes"]["organization_id"]["Value"] == tenant.organization_id
    assert json.loads(received["MessageAttributes"]["kinds"]["Value"]) == ["stale"]
    document = json.loads(received["Message"])
    assert (document["opened_count"], document["resolved_count"]) == (TYPES, 0)
    assert {one["connection_id"] for one in document["opened"]} == {str(connection_id)}
    assert {one["evidence_type"] for one in document["opened"]} == set(EvidenceType)
    tenant.observe_all(connection_id, hours_ago(0))
    lab.evaluate(topic.sink)
    (received,) = topic.take()
    document = json.loads(received["Message"])
    assert (document["opened_count"], document["resolved_count"]) == (0, TYPES)
    assert lab.evaluate(topic.sink).delivered == 0
    assert topic.take() == []


def test_topic_that_is_gone_is_named_by_its_error_code(lab, topic, empty_sandbox):
    lab.stale()
    empty_sandbox.admin.client("sns", "123456789012").delete_topic(TopicArn=topic.arn)
    done = lab.evaluate(topic.sink)
    assert done.failed == TYPES
    assert "SNS refused the message (NotFound" in done.errors[0].error


def test_webhook_gets_one_slack_message_per_organization(lab, receiver):
    lab.stale()
    lab.admin.execute("update warehouse.organizations set name = 'A&B <!channel>'")
    lab.evaluate(receiver.sink)
    (body,) = receiver.got
    assert set(body) == {"text"}
    assert body["text"].startswith("ThirdSentry: A&amp;B &lt;!channel&gt;: 7 alerts opened\n- ")
    assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"
    assert len(receiver.headers[0]["Idempotency-Key"]) == 64


def test_sink_that_is_down_for_a_while_costs_nothing_but_time(lab, receiver):
    lab.stale()
    receiver.status = 500
    expected = FIRST_RETRY.seconds
    for attempt in range(1, 4):
        done = lab.evaluate(receiver.sink)
        assert (done.failed, done.delivered) == (TYPES, 0)
        assert waits(lab) == (expected, attempt, "The webhook answered HTTP 500.")
        assert lab.evaluate(receiver.sink).failed == 0, "its time has not come"
        assert len(receiver.got) == attempt
        lab.retry_now()
        expected *= 2
    receiver.status = 204
    assert lab.evaluate(receiver.sink).delivered == TYPES
    assert receiver.got[0] == receiver.got[-1]
    assert len(receiver.got) == 4
    assert len({one["Idempotency-Key"] for one in receiver.headers}) == 1
    assert lab.alerts()[0]["last_delivery_error"] is None


def test_waiting_ends_at_an_hour_and_respects_what_the_sink_asks(lab, receiver):
    lab.stale()
    receiver.status = 429
    receiver.answer_headers = {"Retry-After": "600"}
    lab.evaluate(receiver.sink)
    assert waits(lab)[0] == 600
    lab.admin.execute("update warehouse.alerts set delivery_attempts = 40")
    lab.retry_now()
    lab.evaluate(receiver.sink)
    assert waits(lab)[0] == LONGEST_RETRY.seconds


def test_refused_connection_is_tried_again(lab):
    lab.stale()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sink = Webhook(f"http://127.0.0.1:{unused.getsockname()[1]}/SECRETPATH")
        done = lab.evaluate(sink)
    assert done.failed == TYPES
    assert waits(lab)[2] == "The webhook could not be reached."


def test_answer_that_comes_too_late_means_once_more(lab, receiver, monkeypatch):
    monkeypatch.setattr(alert_sinks, "_TIMEOUT", urllib3.Timeout(0.2))
    lab.stale()
    receiver.hold = Event()
    assert lab.evaluate(receiver.sink).failed == TYPES
    assert waits(lab)[2] == "The webhook did not answer in time."
    receiver.hold.set()
    lab.retry_now()
    assert lab.evaluate(receiver.sink).delivered == TYPES
    assert len(receiver.got) == 2
    assert receiver.got[0] == receiver.got[1]


def test_redirect_is_not_followed(lab, receiver):
    lab.stale()
    with receiving() as elsewhere:
        receiver.status = 307
        receiver.answer_headers = {"Location": elsewhere.url}
        assert lab.evaluate(receiver.sink).failed == TYPES
        assert elsewhere.got == []
    assert waits(lab)[2] == "The webhook answered HTTP 307."


@pytest.mark.parametrize("status", [200, 500])
def test_webhooks_address_shows_nowhere(lab, receiver, status, caplog):
    lab.stale()
    receiver.status = status
    with caplog.at_level(logging.DEBUG):
        sink = Webhook(receiver.url)
        done = lab.evaluate(sink)
        unreachable = lab.evaluate(Webhook("https://127.0.0.1:1/SECRETPATH"))
    written = f"{caplog.text} {done!r} {unreachable!r} {lab.alerts()}"
    assert "SECRETPATH" not in written


def test_resolved_before_anyone_could_be_told_is_told_as_resolved(lab, receiver):
    tenant, connection_id = lab.stale()
    receiver.status = 503
    lab.evaluate(receiver.sink)
    tenant.observe_all(connection_id, hours_ago(0))
    receiver.status = 200
    assert lab.evaluate(receiver.sink).delivered == TYPES
    assert receiver.texts[-1].startswith("ThirdSentry: Acme: 7 alerts resolved\n")
    assert all(row["notified_at"] and row["resolution_notified_at"] for row in lab.alerts())


def test_sink_that_took_the_news_gets_it_once_while_the_other_is_down(lab):
    tenant, connection_id = lab.stale()
    good, bad = Recorder("good"), Recorder("bad", error=DeliveryError("It is down."))
    assert lab.evaluate(good, bad).failed == TYPES
    lab.retry_now()
    assert lab.evaluate(good, bad).failed == TYPES
    assert (len(good.messages), len(bad.messages)) == (1, 0)
    bad.error = None
    lab.retry_now()
    assert lab.evaluate(good, bad).delivered == TYPES
    assert (len(good.messages), len(bad.messages)) == (1, 1)
    tenant.observe_all(connection_id, hours_ago(0))
    assert lab.evaluate(good, bad).delivered == TYPES
    assert good.told[-1] == bad.told[-1] == [("resolved", "stale")]


def test_sink_that_took_the_opening_is_told_the_end_though_the_other_never_heard(lab):
    tenant, connection_id = lab.stale()
    good, bad = Recorder("good"), Recorder("bad", error=DeliveryError("It is down."))
    lab.evaluate(good, bad)
    tenant.observe_all(connection_id, hours_ago(0))
    bad.error = None
    assert lab.evaluate(good, bad).delivered == TYPES
    assert good.told == [[("opened", "stale")], [("resolved", "stale")]]
    assert bad.told == [[("resolved", "stale")]]


def test_sink_that_keeps_failing_rests_and_the_other_goes_on(lab):
    for _ in range(5):
        lab.stale()
    good, bad = Recorder("good"), Recorder("bad")
    sent = []

    def fail(message):
        sent.append(message.organization_id)
        message = "It is down."
        raise DeliveryError(message)

    bad.send = fail
    done = lab.evaluate(good, bad)
    assert (len(good.messages), len(sent)) == (5, 3)
    assert (done.failed, done.delivered) == (5 * TYPES, 0)
    del bad.send
    # The two that nobody tried have no wait.
    assert lab.evaluate(good, bad).delivered == 2 * TYPES
    assert (len(good.messages), len(bad.messages)) == (5, 2)


def test_bug_in_a_sink_is_a_failed_delivery_without_its_text(lab):
    lab.stale()
    broken = Recorder(error=RuntimeError("https://hooks.example/SECRETPATH"))
    done = lab.evaluate(broken)
    assert [one.error for one in done.errors] == ["The sink recorder failed (RuntimeError)."]


def test_organization_that_can_not_be_evaluated_leaves_the_others_alone(lab):
    broken, whole = sorted((lab.stale()[0].organization_id, lab.stale()[0].organization_id))
    lab.admin.execute(
        f"alter table warehouse.alerts add constraint broken check (organization_id <> '{broken}')"
    )
    done = lab.evaluate()
    assert [message.organization_id for message in lab.sink.messages] == [whole]
    (failure,) = done.errors
    assert (failure.organization_id, failure.sink) == (broken, None)
    assert lab.audit() == {"alert_opened": TYPES}


def test_hanging_sink_holds_up_neither_reads_nor_other_evaluations(lab, receiver):
    tenant, connection_id = lab.stale()
    receiver.hold = Event()
    sending = Thread(target=lab.evaluate, args=(receiver.sink,))
    sending.start()
    while not receiver.got:
        receiver.hold.wait(0.01)
    lab.admin.execute("set lock_timeout = '200ms'")
    tenant.observe_all(connection_id, hours_ago(0))
    lab.run(tenant, connection_id, "succeeded", 0)
    done = lab.evaluate()
    # What is being told can't be resolved yet.
    assert (done.resolved, done.delivered, done.errors) == (0, 0, [])
    receiver.hold.set()
    sending.join()
    done = lab.evaluate(receiver.sink)
    assert (done.resolved, done.delivered) == (TYPES, TYPES)


def test_log_takes_everything_when_nothing_is_set(lab, caplog):
    tenant, _ = lab.stale()
    with caplog.at_level(logging.WARNING):
        assert lab.evaluate(LogSink()).delivered == TYPES
    (record,) = caplog.records
    assert tenant.organization_id in record.getMessage()


def test_retry_after_is_read_with_care():
    assert alert_sinks.asked_wait(" 30 ") == timedelta(seconds=30)
    assert alert_sinks.asked_wait("9" * 5000) == timedelta(hours=1)
    for odd in ("", "-1", "soon", "²", "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert alert_sinks.asked_wait(odd) is None
