"""`relay.client.verify`, for those who receive, on messages that the relay's own signer made."""

import time

import pytest

from relay.client import VerificationError, verify
from relay.domain.signature import Refusal, Secret, sign

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"type": "task.succeeded", "data": {"RequestID": "1"}}'


def signed(*secrets: str, at: float | None = None) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    return sign([Secret.parse(text) for text in secrets], message_id="reg_1", timestamp=timestamp, body=BODY)


def test_a_message_of_the_relay_is_given_decoded() -> None:
    assert verify(signed(OLD), BODY, OLD) == {"type": "task.succeeded", "data": {"RequestID": "1"}}


def test_header_names_may_be_written_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed(OLD).items()}
    assert verify(headers, BODY, OLD)["type"] == "task.succeeded"


@pytest.mark.parametrize("known", [[OLD], [NEW], [NEW, OLD]])
def test_during_a_rotation_either_secret_verifies(known: list[str]) -> None:
    assert verify(signed(OLD, NEW), BODY, known)["type"] == "task.succeeded"


@pytest.mark.parametrize(
    ("headers", "body", "refusal"),
    [
        (signed(NEW), BODY, Refusal.NO_MATCH),
        (signed(OLD), BODY + b" ", Refusal.NO_MATCH),
        (signed(OLD, at=0), BODY, Refusal.TOO_OLD),
        (signed(OLD, at=time.time() + 3_600), BODY, Refusal.TOO_NEW),
        ({}, BODY, Refusal.MISSING_HEADER),
    ],
)
def test_anything_else_is_refused_with_the_reason(headers: dict[str, str], body: bytes, refusal: Refusal) -> None:
    with pytest.raises(VerificationError) as caught:
        verify(headers, body, OLD)
    assert caught.value.refusal is refusal


def test_a_secret_that_is_none_is_the_callers_fault_and_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="a signing secret") as caught:
        verify(signed(OLD), BODY, "whsec_short")
    assert "short" not in str(caught.value)
