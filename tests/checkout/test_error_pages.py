"""Pages for when something went wrong: each says whether anything was charged."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import get_resolver

from checkout.views.error_pages import too_many_requests, unavailable
from tests.support.shopper import Answer


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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "nothing was charged"),
        (403, "nothing was charged"),
        (404, "nothing was charged"),
        (500, "can never buy twice or charge you twice"),
        (503, "nothing was charged"),
    ],
)
def test_every_error_page_says_whether_anything_was_charged(status: int, words: str) -> None:
    response = page_for(status)(RequestFactory().get("/"))

    assert response.status_code == status
    assert words in Answer(status, "", response.text).words
    assert 'class="masthead"' in response.text


def page_for(status: int) -> Callable[..., HttpResponse]:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:  # Django has no handler for it
        return unavailable
    handler: Callable[..., HttpResponse] = get_resolver().resolve_error_handler(status)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return handler
    return partial(handler, exception=Exception("For the test"))
