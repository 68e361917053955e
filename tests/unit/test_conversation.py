"""What the Python client makes of answers, apart from sockets and sleep."""

from typing import Any

import httpx
import orjson
import pytest

from relay.conversation import TRIES, Caller, Conversation, EventReader, Heard, ProblemError, UnreachableError

CALLER = Caller.of("http://relay.example/", "secret-key")
BUSY = {"status": 503, "code": "store_unavailable", "detail": "later"}


def answer(status: int, document: Any, **headers: str) -> httpx.Response:
    request = httpx.Request("GET", CALLER.url)
    return httpx.Response(status, content=orjson.dumps(document), headers=headers, request=request)


def hold(conversation: Conversation, *heard: Heard) -> tuple[Any, list[httpx.Request], list[float]]:
    """Hold it with these answers; return what it returned, what it asked, and for how long it slept."""
    answers, requests, pauses = iter(heard), [], []
    step = next(conversation)
    while True:
        if isinstance(step, httpx.Request):
            requests.append(step)
            told = next(answers)
        else:
            pauses.append(step)
            told = None
        try:
            step = conversation.send(told)
        except StopIteration as done:
            return done.value, requests, pauses


def test_a_wish_is_sent_with_the_key_and_only_what_was_given() -> None:
    made, [request], _ = hold(
        CALLER.register("1", "https://a.example", {"account": None}), answer(201, {"id": "reg_1"})
    )
    assert made == {"id": "reg_1"}
    assert (request.method, str(request.url)) == ("POST", "http://relay.example/v1/registrations")
    assert request.headers["authorization"] == "Bearer secret-key"
    assert orjson.loads(request.content) == {"request_id": "1", "callback_url": "https://a.example"}


def test_the_key_shows_itself_nowhere() -> None:
    assert "secret-key" not in repr(CALLER)


def test_an_outage_is_waited_out_and_the_relays_own_pause_kept() -> None:
    lost, busy, early = httpx.ConnectError("refused"), answer(503, BUSY), answer(429, BUSY, **{"retry-after": "3"})
    made, requests, pauses = hold(CALLER.get("reg_1"), lost, busy, early, answer(200, {"id": "reg_1"}))
    assert made == {"id": "reg_1"}
    assert len(requests) == 4
    assert pauses[:2] == [0.2, 0.4]
    assert pauses[2] == pytest.approx(3, abs=0.1)


def test_an_outage_without_end_is_told_as_what_it_is() -> None:
    with pytest.raises(ProblemError, match="store_unavailable"):
        hold(CALLER.get("reg_1"), *[answer(503, BUSY)] * TRIES)
    with pytest.raises(UnreachableError, match=r"relay\.example"):
        hold(CALLER.get("reg_1"), *[httpx.ConnectError("refused")] * TRIES)


def test_a_refusal_is_not_asked_again_and_names_the_wrong_fields() -> None:
    errors = [{"pointer": "/request_id", "detail": "too long"}]
    with pytest.raises(ProblemError) as caught:
        hold(CALLER.get("reg_1"), answer(422, {"status": 422, "code": "invalid_request", "errors": errors}))
    assert (caught.value.status, caught.value.code, caught.value.errors) == (422, "invalid_request", errors)


@pytest.mark.parametrize("page", [[], "<html>", {"hello": "world"}])
def test_what_is_no_relay_is_called_so(page: Any) -> None:
    with pytest.raises(UnreachableError, match="no relay"):
        hold(CALLER.get("reg_1"), answer(404, page))


def test_waiting_asks_again_until_the_task_is_final() -> None:
    pending, final = answer(200, {"state": "pending"}), answer(200, {"state": "delivering"})
    ended, requests, pauses = hold(CALLER.wait("reg_1", 600), pending, pending, final)
    assert (ended["state"], len(requests), pauses) == ("delivering", 3, [])
    assert requests[0].url.query == b"wait=30"


def test_waiting_ends_when_its_time_is_out() -> None:
    ended, [request], _ = hold(CALLER.wait("reg_1", 0), answer(200, {"state": "pending"}))
    assert ended["state"] == "pending"
    assert request.url.query == b"wait=0"


def test_cancelling_what_is_cancelled_already_is_well() -> None:
    settled = answer(409, {"status": 409, "code": "settled"})
    assert hold(CALLER.cancel("reg_1"), settled, answer(200, {"state": "cancelled"}))[0] == {}
    with pytest.raises(ProblemError):
        hold(CALLER.cancel("reg_1"), settled, answer(200, {"state": "delivered"}))


def test_a_stream_is_read_event_by_event_and_remembers_where_to_go_on() -> None:
    reader = EventReader(None)
    lines = ["", ": alive", "id: 5-0", "event: final", 'data: {"id": ', 'data: "reg_1"}', "", "id: 6-0", "data: {"]
    [event] = [event for line in lines if (event := reader.take(line))]
    assert (event.id, event.name, event.data) == ("5-0", "final", {"id": "reg_1"})
    reader.start()
    assert reader.after == "5-0"
    assert CALLER.stream(reader.after).headers["last-event-id"] == "5-0"
    assert reader.take("") is None
