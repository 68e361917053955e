"""Idempotency keys as they are written, and what is kept for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.errors import KeyInUseError, KeyReusedError, MalformedKeyError
from relay.domain.idempotency import Kept, fingerprint, parse_key

VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)


@given(VISIBLE)
def test_a_quoted_key_is_what_is_between_the_quotes(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert parse_key([quoted]) == key


@given(st.text())
def test_whatever_is_sent_is_a_key_or_refused(text: str) -> None:
    try:
        key = parse_key([text])
    except MalformedKeyError:
        return
    assert key is not None
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()


def test_without_the_field_there_is_no_key() -> None:
    assert parse_key([]) is None


def test_bodies_that_say_the_same_are_the_same() -> None:
    assert fingerprint({"a": 1, "b": [True, None]}, b"one") == fingerprint({"b": [True, None], "a": 1}, b"other")
    assert len({fingerprint(body, b"") for body in ({"a": 1}, {"a": "1"}, {"a": 1.5}, [1], None)}) == 5


@given(st.binary(), st.sampled_from([200, 201]))
def test_what_is_kept_reads_back(body: bytes, status: int) -> None:
    kept = Kept(fingerprint({}, b"{}"), status, "/v1/registrations/reg_1", body)
    assert Kept.read(kept.written()) == kept


def test_only_the_same_body_is_answered_and_only_once_there_is_an_answer() -> None:
    kept, claimed = Kept("a", 201, "/x", b"{}"), Kept("a")
    assert kept.answer_to("a") is kept
    with pytest.raises(KeyReusedError):
        kept.answer_to("b")
    with pytest.raises(KeyInUseError):
        Kept.read(claimed.written()).answer_to("a")
