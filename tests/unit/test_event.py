"""What is told of a registration, and where a stream of it begins."""

import orjson
import pytest

from relay.domain.delivery import Outcome
from relay.domain.event import NO_EVENT, EventId, EventName, beginning, events_of, told
from relay.domain.registration import Attempt, DeathReason, RegistrationState
from tests.support.builders import NOW, a_registration

FIRST, MIDDLE, LAST = EventId(10, 0), EventId(10, 7), EventId(20, 1)
ATTEMPT = Attempt(NOW, Outcome.GONE, 410, 0.1)
DEAD = a_registration(state=RegistrationState.DEAD, death=DeathReason.GONE, attempts=(ATTEMPT,))


@pytest.mark.parametrize(
    ("asked", "first", "last", "expected"),
    [
        (None, FIRST, LAST, (LAST, False)),
        (None, None, None, (NO_EVENT, False)),
        (NO_EVENT, FIRST, LAST, (NO_EVENT, False)),
        (NO_EVENT, None, None, (NO_EVENT, False)),
        (MIDDLE, FIRST, LAST, (MIDDLE, False)),
        (FIRST, FIRST, LAST, (FIRST, False)),
        (LAST, FIRST, LAST, (LAST, False)),
        (EventId(9, 9), FIRST, LAST, (EventId(9, 9), True)),
        (EventId(20, 2), FIRST, LAST, (LAST, True)),
        (MIDDLE, None, None, (NO_EVENT, True)),
    ],
)
def test_a_stream_begins_where_it_broke_and_says_what_it_cannot_tell(
    asked: EventId | None, first: EventId | None, last: EventId | None, expected: tuple[EventId, bool]
) -> None:
    assert beginning(asked, first=first, last=last) == expected


@pytest.mark.parametrize("id_", [NO_EVENT, LAST, EventId(10**19 - 1, 10**19 - 1)])
def test_an_id_reads_back(id_: EventId) -> None:
    assert EventId.parse(str(id_)) == id_


@pytest.mark.parametrize(
    "text", ["", "x", "1-", "-1", "1-2-3", " 1", "1\n", "\u0661", "18446744073709551616", "0-10000000000000000000"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no id of an event"):
        EventId.parse(text)


@pytest.mark.parametrize(
    ("state", "events"),
    [
        (RegistrationState.DELIVERING, ["attempt"]),
        (RegistrationState.DELIVERED, ["attempt", "delivered"]),
        (RegistrationState.DEAD, ["attempt", "dead"]),
    ],
)
def test_an_attempt_and_what_it_led_to_are_told(state: RegistrationState, events: list[str]) -> None:
    assert list(events_of(a_registration(state=state))) == events


def test_an_event_says_what_belongs_to_it_and_no_more() -> None:
    attempt = orjson.loads(told(EventName.ATTEMPT, DEAD, at=NOW))
    dead = orjson.loads(told(EventName.DEAD, DEAD, at=NOW))

    assert attempt["attempt"] == {"number": 1, "outcome": "gone", "status_code": 410}
    assert (dead["death"], dead["state"], dead["at"]) == ("gone", "dead", "2026-11-23T10:00:00.000Z")
    assert "attempt" not in dead
    assert "callback_url" not in attempt
