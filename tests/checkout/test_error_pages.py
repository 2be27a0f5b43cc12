"""Pages for when something went wrong: each says whether anything was charged."""

import pytest
from django.test import RequestFactory

from checkout.errors import too_many_requests
from tests.shopper import Answer


def answered(method: str, seconds: float) -> tuple[Answer, str]:
    response = too_many_requests(RequestFactory().generic(method, "/checkout/"), seconds)
    answer = Answer(response.status_code, "", response.text)
    return answer, response.headers["Retry-After"]


@pytest.mark.parametrize(
    ("seconds", "header", "words"),
    [
        (0, "1", "in 1 second."),
        (29.2, "30", "in 30 seconds."),
        (91, "91", "in 2 minutes."),
        (3600, "3600", "in 60 minutes."),
        (6000, "6000", "in 2 hours."),
    ],
)
def test_too_many_requests_says_when_to_try_again(seconds: float, header: str, words: str) -> None:
    answer, retry_after = answered("GET", seconds)

    assert (answer.status, retry_after) == (429, header)
    assert words in answer.words
    assert "nothing was charged" in answer.words


def test_slowed_down_form_is_sent_again_by_a_reload() -> None:
    answer, _ = answered("POST", 30)

    assert "the same form can never buy twice" in answer.words
