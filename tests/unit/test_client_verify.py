"""`relay.client.verify`, for those who receive, on messages that the relay's own signer made."""

import time

import pytest

from relay.client import VerificationError, verify
from relay.domain.signature import Refusal, Secret, sign

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"type": "task.succeeded", "data": {"RequestID": "1"}}'


def signed(*secrets: str, later_s: float = 0.0) -> dict[str, str]:
    timestamp = int(time.time() + later_s)
    return sign([Secret.parse(text) for text in secrets], message_id="reg_1", timestamp=timestamp, body=BODY)


def test_a_message_of_the_relay_is_given_decoded() -> None:
    assert verify(signed(OLD), BODY, OLD) == {"type": "task.succeeded", "data": {"RequestID": "1"}}


def test_header_names_may_be_written_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed(OLD).items()}
    assert verify(headers, BODY, OLD)["type"] == "task.succeeded"


@pytest.mark.parametrize("known", [[OLD], [NEW], [NEW, OLD]])
def test_during_a_rotation_either_secret_verifies(known: list[str]) -> None:
    assert verify(signed(OLD, NEW), BODY, known)["type"] == "task.succeeded"


def test_without_secrets_those_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_SIGNING_SECRET", f"{NEW}, {OLD}")
    assert verify(signed(OLD), BODY)["type"] == "task.succeeded"

    monkeypatch.delenv("RELAY_SIGNING_SECRET")
    with pytest.raises(ValueError, match="a signing secret"):
        verify(signed(OLD), BODY)


@pytest.mark.parametrize(
    ("secret", "later_s", "body", "refusal"),
    [
        (NEW, 0.0, BODY, Refusal.NO_MATCH),
        (OLD, 0.0, BODY + b" ", Refusal.NO_MATCH),
        (OLD, -3_600.0, BODY, Refusal.TOO_OLD),
        (OLD, 3_600.0, BODY, Refusal.TOO_NEW),
    ],
)
def test_anything_else_is_refused_with_the_reason(secret: str, later_s: float, body: bytes, refusal: Refusal) -> None:
    with pytest.raises(VerificationError) as caught:
        verify(signed(secret, later_s=later_s), body, OLD)
    assert caught.value.refusal is refusal


def test_without_its_headers_it_is_refused() -> None:
    with pytest.raises(VerificationError) as caught:
        verify({}, BODY, OLD)
    assert caught.value.refusal is Refusal.MISSING_HEADER


def test_a_secret_that_is_none_is_the_callers_fault_and_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="a signing secret") as caught:
        verify(signed(OLD), BODY, "whsec_short")
    assert "short" not in str(caught.value)
