import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.aws.errors import MalformedAnswerError
from thirdsentry_pipeline.aws.event_selectors import parse_selectors
from thirdsentry_pipeline.domain.facts import EventSelector


def field(name, **operators):
    return {"Field": name, **operators}


MANAGEMENT = field("eventCategory", Equals=["Management"])


def advanced(*fields):
    (selector,) = parse_selectors({"AdvancedEventSelectors": [{"FieldSelectors": list(fields)}]})
    return selector


def basic(**members):
    (selector,) = parse_selectors({"EventSelectors": [members]})
    return selector


@pytest.mark.parametrize("kind", ["All", "ReadOnly", "WriteOnly"])
def test_basic_selectors_say_what_they_record(kind):
    assert basic(ReadWriteType=kind, IncludeManagementEvents=True) == EventSelector(
        management=True, read_write=kind
    )
    assert basic(ReadWriteType=kind, IncludeManagementEvents=False) == EventSelector(
        management=False, read_write=kind
    )


@pytest.mark.parametrize(
    "members",
    [
        {"IncludeManagementEvents": True},
        {"ReadWriteType": "All"},
        {"ReadWriteType": "Everything", "IncludeManagementEvents": True},
        {"ReadWriteType": "All", "IncludeManagementEvents": "yes"},
        {
            "ReadWriteType": "All",
            "IncludeManagementEvents": True,
            "ExcludeManagementEventSources": "kms",
        },
    ],
)
def test_a_basic_selector_that_makes_no_sense_is_malformed(members):
    with pytest.raises(MalformedAnswerError):
        basic(**members)


@pytest.mark.parametrize(
    ("fields", "selector"),
    [
        ([], EventSelector(management=True, read_write="All")),
        (
            [field("readOnly", Equals=["true"])],
            EventSelector(management=True, read_write="ReadOnly"),
        ),
        (
            [field("readOnly", Equals=["false"])],
            EventSelector(management=True, read_write="WriteOnly"),
        ),
        (
            [field("readOnly", Equals=["true", "false"])],
            EventSelector(management=True, read_write="All"),
        ),
        (
            [field("eventSource", NotEquals=["rdsdata.amazonaws.com", "kms.amazonaws.com"])],
            EventSelector(
                management=True,
                read_write="All",
                excluded_sources=("kms.amazonaws.com", "rdsdata.amazonaws.com"),
            ),
        ),
        (
            [field("eventSource", Equals=["kms.amazonaws.com"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
        (
            [field("eventName", NotEquals=["Decrypt"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
        (
            [field("userIdentity.arn", StartsWith=["arn"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
        (
            [field("readOnly", NotEquals=["true"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
        (
            [field("readOnly", Equals=["maybe"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
        (
            [field("eventSource", NewOperator=["x"])],
            EventSelector(management=True, read_write="All", narrowed=True),
        ),
    ],
)
def test_advanced_management_selectors(fields, selector):
    assert advanced(MANAGEMENT, *fields) == selector


def test_other_categories_record_no_management_events():
    assert not advanced(
        field("eventCategory", Equals=["Data"]), field("readOnly", Equals=["true"])
    ).management


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [field("readOnly", Equals=["true"])],
        [field("eventCategory", NotEquals=["Data"])],
        [field("eventCategory", Equals="Management")],
        [field("eventCategory", Equals=[5])],
        [MANAGEMENT, MANAGEMENT],
        [{"Equals": ["Management"]}],
        ["x"],
    ],
)
def test_an_advanced_selector_that_makes_no_sense_is_malformed(fields):
    with pytest.raises(MalformedAnswerError):
        advanced(*fields)


def test_a_trail_without_selectors_has_none():
    assert parse_selectors({"EventSelectors": [], "AdvancedEventSelectors": []}) == ()


WORDS = st.sampled_from(
    ["eventCategory", "readOnly", "eventSource", "resources.type", "Management", "true", "x"]
)


@given(
    fields=st.lists(
        st.fixed_dictionaries(
            {"Field": WORDS},
            optional={
                name: st.lists(WORDS, max_size=2)
                for name in ("Equals", "NotEquals", "StartsWith", "Unheard")
            },
        ),
        max_size=4,
    )
)
def test_only_a_selector_of_all_management_events_is_read_as_one(fields):
    try:
        selector = advanced(*fields)
    except MalformedAnswerError:
        return
    if selector.management and not selector.narrowed and not selector.excluded_sources:
        assert {one["Field"] for one in fields} <= {"eventCategory", "readOnly", "eventSource"}
