"""How long is waited before the next try."""

from datetime import timedelta

import pytest

from checkout.runtime.retry import backoff, pauses


def test_pause_doubles_from_the_first_to_the_longest() -> None:
    waits = [backoff(failures, first=0.5, longest=10.0) for failures in range(1, 9)]

    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]


def test_any_number_of_failures_waits_the_longest_pause() -> None:
    first, longest = timedelta(seconds=1), timedelta(hours=2)

    assert backoff(10_000, first=first, longest=longest) == longest
    assert backoff(0, first=first, longest=longest) == first


def test_jitter_shortens_a_pause_by_no_more_than_its_share() -> None:
    waits = [backoff(3, first=1.0, longest=60.0, jitter=0.25) for _ in range(200)]

    assert 3 <= min(waits) < max(waits) <= 4


def test_pauses_end_with_their_time() -> None:
    assert list(pauses(first=0.1, longest=1.0, within=0, at_least=0)) == []
    assert list(pauses(first=0.1, longest=1.0, within=0)) == [0.0]
    assert next(pauses(first=0.1, longest=1.0, within=5)) == pytest.approx(0.1)
