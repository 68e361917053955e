"""Standard Webhooks signatures: the published vectors, and what a receiver of ours refuses."""

import time
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from relay.domain.signature import Refusal, Secret, new_secret, sign, verify

OLD, NEW = new_secret(bytes(range(32))), new_secret(bytes(range(32, 64)))
NOW = 1_700_000_000
BODY = '{"type":"task.succeeded","name":"Zoë"}'.encode()


@pytest.mark.parametrize(
    ("key", "message_id", "timestamp", "body", "signature"),
    [
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_the_published_vectors_come_out(key: str, message_id: str, timestamp: int, body: bytes, signature: str) -> None:
    secret = Secret(b64decode(key))  # the second is shorter than `parse` admits
    headers = sign([secret], message_id=message_id, timestamp=timestamp, body=body)
    assert headers == {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def test_the_published_signature_of_another_version_is_right_and_is_neither_taken_nor_in_the_way() -> None:
    pair = b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
    signature = "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    message_id, timestamp, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    content = f"{message_id}.{timestamp}.".encode() + body
    Ed25519PublicKey.from_public_bytes(pair[32:]).verify(b64decode(signature), content)

    headers = sign([NEW], message_id=message_id, timestamp=timestamp, body=body)
    alone = headers | {"webhook-signature": f"v1a,{signature}"}
    beside = headers | {"webhook-signature": f"v1a,{signature} {headers['webhook-signature']}"}
    assert verify([NEW], alone, body, now=timestamp) is Refusal.NO_MATCH
    assert verify([NEW], beside, body, now=timestamp) is None


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_an_independent_receiver_verifies_with_either_secret_of_a_rotation(secret: Secret) -> None:
    headers = sign([OLD, NEW], message_id="reg_1", timestamp=int(time.time()), body=BODY)
    Webhook(secret.text).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.text).verify(BODY + b" ", headers)


def test_our_own_receiver_verifies_with_either_secret_of_a_rotation() -> None:
    headers = sign([OLD, NEW], message_id="reg_1", timestamp=NOW, body=BODY)
    assert verify([OLD], headers, BODY, now=NOW) is None
    assert verify([NEW], headers, BODY, now=NOW + 300) is None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"webhook-id": ""}, Refusal.MISSING_HEADER),
        ({"webhook-timestamp": "٣"}, Refusal.BAD_TIMESTAMP),
        ({"webhook-timestamp": "1e9"}, Refusal.BAD_TIMESTAMP),
        ({"webhook-timestamp": "9" * 5_000}, Refusal.BAD_TIMESTAMP),
        ({"webhook-timestamp": str(NOW - 301)}, Refusal.TOO_OLD),
        ({"webhook-timestamp": str(NOW + 301)}, Refusal.TOO_NEW),
        ({"webhook-timestamp": str(NOW + 1)}, Refusal.NO_MATCH),
        ({"webhook-signature": "garbage,é\ud800 v1 v2,xx  v1,"}, Refusal.NO_MATCH),
    ],
)
def test_a_wrong_header_is_refused_by_name(changes: dict[str, str], refusal: Refusal) -> None:
    headers = sign([NEW], message_id="reg_1", timestamp=NOW, body=BODY) | changes
    assert verify([NEW], headers, BODY, now=NOW) is refusal


def test_a_message_without_its_headers_is_refused() -> None:
    assert verify([NEW], {}, BODY, now=NOW) is Refusal.MISSING_HEADER


def test_a_secret_is_read_with_or_without_prefix_and_padding() -> None:
    bare = NEW.text.removeprefix("whsec_")
    assert Secret.parse(NEW.text) == Secret.parse(bare) == Secret.parse(bare.rstrip("=")) == NEW


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 88, "whsec_" + "?" * 32, "whsec_é"])
def test_a_bad_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="a signing secret") as raised:
        Secret.parse(text)
    assert len(text) < 7 or text[6:] not in str(raised.value)


def test_a_secret_does_not_show_itself() -> None:
    assert NEW.text not in f"{NEW} {NEW!r}"
    assert repr(NEW.key) not in f"{NEW} {NEW!r}"


@pytest.mark.parametrize(("secrets", "message_id"), [([], "reg_1"), ([NEW], "reg.1")])
def test_signing_without_a_secret_or_with_a_dotted_id_is_the_callers_fault(
    secrets: list[Secret], message_id: str
) -> None:
    with pytest.raises(ValueError, match="signing takes"):
        sign(secrets, message_id=message_id, timestamp=NOW, body=BODY)
