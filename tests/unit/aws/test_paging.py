import pytest

from thirdsentry_pipeline.aws import paging
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError


def listing(*answers):
    """A call that gives these answers in turn and notes what it was asked."""
    left = list(answers)

    def call(**parameters):
        call.asked.append(parameters)
        return left.pop(0)

    call.asked = []
    return call


def test_every_page_is_read_with_the_token_of_the_one_before():
    call = listing({"n": 1, "NextToken": "a"}, {"n": 2, "NextToken": "b"}, {"n": 3})
    assert [page["n"] for page in paging.pages(call, paging.NEXT_TOKEN, {"P": 1})] == [1, 2, 3]
    assert call.asked == [{"P": 1}, {"P": 1, "NextToken": "a"}, {"P": 1, "NextToken": "b"}]


def test_an_empty_token_ends_the_list():
    assert len(list(paging.pages(listing({"NextToken": ""}), paging.NEXT_TOKEN, {}))) == 1


def test_iam_pages_while_it_says_truncated():
    call = listing({"IsTruncated": True, "Marker": "a"}, {"IsTruncated": False})
    assert len(list(paging.pages(call, paging.IAM, {}))) == 2


@pytest.mark.parametrize("tokens", ["aa", "aba", "abcb"])
def test_a_token_that_comes_again_is_a_loop(tokens):
    call = listing(*({"NextToken": token} for token in tokens))
    with pytest.raises(MalformedAnswerError):
        list(paging.pages(call, paging.NEXT_TOKEN, {}))


@pytest.mark.parametrize(
    "answer",
    [{"IsTruncated": True}, {}, {"IsTruncated": "true"}, {"IsTruncated": True, "Marker": 5}],
)
def test_a_list_that_does_not_say_how_it_goes_on_is_refused(answer):
    with pytest.raises(MalformedAnswerError):
        list(paging.pages(listing(answer), paging.IAM, {}))


def test_an_endless_list_is_refused():
    numbers = iter(range(10**6))
    with pytest.raises(AnswerTooLargeError):
        for _ in paging.pages(
            lambda **_: {"NextToken": f"t{next(numbers)}"}, paging.NEXT_TOKEN, {}
        ):
            pass
