"""Laws of the signature."""

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.signature import Refusal, Secret, new_secret, sign, verify

NOW = 1_700_000_000
SECRETS = st.binary(min_size=24, max_size=64).map(new_secret)
IDS = st.from_regex(r"reg_[a-z0-9]{1,30}", fullmatch=True)


@given(secret=SECRETS, message_id=IDS, body=st.binary(min_size=1), data=st.data())
def test_one_flipped_bit_breaks_it(secret: Secret, message_id: str, body: bytes, data: st.DataObject) -> None:
    headers = sign([secret], message_id=message_id, timestamp=NOW, body=body)
    assert verify([secret], headers, body, now=NOW) is None
    assert verify([secret], headers, _flipped(body, data), now=NOW) is Refusal.NO_MATCH
    for name in headers:
        changed = headers | {name: _flipped(headers[name].encode(), data).decode("latin-1")}
        assert verify([secret], changed, body, now=NOW) is not None
    other = Secret(_flipped(secret.key, data))
    assert verify([other], headers, body, now=NOW) is Refusal.NO_MATCH


@given(headers=st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
def test_no_headers_make_the_verifier_raise(headers: dict[str, str]) -> None:
    assert verify([new_secret(bytes(24))], headers, b"", now=NOW) is not None


@given(secret=SECRETS)
def test_a_secret_survives_its_text(secret: Secret) -> None:
    assert Secret.parse(secret.text) == secret


def _flipped(content: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
