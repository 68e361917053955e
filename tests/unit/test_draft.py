"""A registration as a client may ask for it: every wrong field is named, by its JSON pointer."""

import pytest

from relay.domain.draft import DEFAULT_DEADLINE_S, MAX_DEADLINE_S, MAX_METADATA_BYTES, Draft
from relay.domain.errors import InvalidRequestError
from relay.domain.operations import Operation
from tests.support.builders import NOW, REQUEST_ID, URL

LEAST: dict[str, object] = {"request_id": REQUEST_ID, "callback_url": URL}


def pointers_of(document: object) -> list[str]:
    """Return the pointers of what is wrong with the document; none when nothing is."""
    try:
        Draft.parse(document)
    except InvalidRequestError as error:
        return [wrong.pointer for wrong in error.errors]
    return []


def test_the_least_is_a_request_id_and_a_callback_url() -> None:
    draft = Draft.parse(LEAST)
    assert (draft.request_id, draft.callback_url) == (REQUEST_ID, URL)
    assert (draft.operation, draft.account, draft.deadline_s) == (Operation.LEAD_UPDATE, "default", DEFAULT_DEADLINE_S)
    assert (draft.submitted_at_s, draft.metadata_json) == (None, "{}")


def test_all_of_it_is_read() -> None:
    draft = Draft.parse(
        LEAST
        | {"operation": "call.log", "account": "eu", "deadline_s": 60, "metadata": {"order": 17}}
        | {"submitted_at": "2026-11-23T10:00:00Z"}
    )
    assert (draft.operation, draft.account, draft.deadline_s) == (Operation.CALL_LOG, "eu", 60)
    assert (draft.submitted_at_s, draft.metadata_json) == (NOW, '{"order":17}')


def test_every_wrong_field_is_named_at_once() -> None:
    document = {
        "request_id": "",
        "callback_url": 7,
        "operation": "lead.delete",
        "account": "no spaces",
        "submitted_at": "yesterday",
        "deadline_s": 0,
        "metadata": [],
        "unknown": 1,
    }
    assert sorted(pointers_of(document)) == sorted(f"/{name}" for name in document)


def test_what_is_missing_is_named() -> None:
    assert pointers_of({}) == ["/request_id", "/callback_url"]


@pytest.mark.parametrize("document", [None, [], "text", 7, True, [LEAST]])
def test_what_is_no_object_is_wrong_as_a_whole(document: object) -> None:
    assert pointers_of(document) == [""]


@pytest.mark.parametrize(
    ("name", "pointer"), [("deadline", "/deadline"), ("a/b", "/a~1b"), ("a~b", "/a~0b"), ("", "/"), ("ü", "/ü")]
)
def test_an_unknown_field_is_named_by_an_escaped_pointer(name: str, pointer: str) -> None:
    assert pointers_of(LEAST | {name: 1}) == [pointer]


def test_a_complaint_never_repeats_the_value() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Draft.parse(LEAST | {"account": "planted secret", "submitted_at": "planted secret"})
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("request_id", ["a", "!", "~", "a" * 128, "a/b?c#d%20", '"\\'])
def test_a_request_id_is_up_to_128_visible_ascii_characters(request_id: str) -> None:
    assert Draft.parse(LEAST | {"request_id": request_id}).request_id == request_id


@pytest.mark.parametrize(
    "request_id",
    [
        "",
        "a" * 129,
        "a b",
        " a",
        "a\n",
        "\na",
        "a\t",
        "a\x00",
        "a\x7f",
        "é",
        "\uff41",
        "a\u200b",
        "\u0661",
        None,
        7,
        ["a"],
    ],
)
def test_any_other_request_id_is_refused(request_id: object) -> None:
    assert pointers_of(LEAST | {"request_id": request_id}) == ["/request_id"]


@pytest.mark.parametrize("account", ["", "-a", ".a", "a b", "a:b", "a/b", "a\n", "é", "a" * 65, None, 7])
def test_an_account_has_a_plain_name(account: object) -> None:
    assert pointers_of(LEAST | {"account": account}) == ["/account"]


@pytest.mark.parametrize("callback_url", ["", "a" * 2_049, None, 7])
def test_a_callback_url_is_text_of_at_most_two_kib(callback_url: object) -> None:
    assert pointers_of(LEAST | {"callback_url": callback_url}) == ["/callback_url"]


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_is_known_by_its_name(operation: Operation) -> None:
    assert Draft.parse(LEAST | {"operation": operation.value}).operation is operation


@pytest.mark.parametrize("operation", ["LEAD.UPDATE", "LEAD_UPDATE", "", None, 0])
def test_any_other_operation_is_refused(operation: object) -> None:
    assert pointers_of(LEAST | {"operation": operation}) == ["/operation"]


@pytest.mark.parametrize(
    "submitted_at",
    [
        "2026-11-23T10:00:00Z",
        "2026-11-23t10:00:00z",
        "2026-11-23T10:00:00.000Z",
        "2026-11-23T15:30:00+05:30",
        "2026-11-23T09:00:00-01:00",
        "2026-11-23 10:00:00Z",
    ],
)
def test_a_submission_time_is_rfc_3339_with_its_offset(submitted_at: str) -> None:
    assert Draft.parse(LEAST | {"submitted_at": submitted_at}).submitted_at_s == NOW


@pytest.mark.parametrize(
    "submitted_at",
    [
        "2026-11-23T10:00:00",
        "2026-11-23",
        "10:00:00Z",
        "1795428000",
        "1795428000.5",
        "2026-13-01T00:00:00Z",
        "2026-11-23T10:00:00Z ",
        "2026-11-23T10:00:00Z\n",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "",
        "now",
        1_795_428_000,
        1.5,
        True,
        ["2026-11-23T10:00:00Z"],
    ],
)
def test_any_other_submission_time_is_refused(submitted_at: object) -> None:
    assert pointers_of(LEAST | {"submitted_at": submitted_at}) == ["/submitted_at"]


@pytest.mark.parametrize("deadline_s", [1, 0.001, 60.5, 43_200, MAX_DEADLINE_S])
def test_a_deadline_is_above_zero_and_at_most_thirty_days_away(deadline_s: float) -> None:
    assert Draft.parse(LEAST | {"deadline_s": deadline_s}).deadline_s == deadline_s


@pytest.mark.parametrize(
    "deadline_s", [0, -1, MAX_DEADLINE_S + 1, float("nan"), float("inf"), "60", True, None, [60], 10**30]
)
def test_any_other_deadline_is_refused(deadline_s: object) -> None:
    assert pointers_of(LEAST | {"deadline_s": deadline_s}) == ["/deadline_s"]


def test_metadata_is_an_object_of_at_most_four_kib() -> None:
    fits = {"a": "x" * (MAX_METADATA_BYTES - len('{"a":""}'))}
    assert len(Draft.parse(LEAST | {"metadata": fits}).metadata_json) == MAX_METADATA_BYTES
    assert pointers_of(LEAST | {"metadata": {"a": fits["a"] + "x"}}) == ["/metadata"]


def test_metadata_is_measured_in_bytes() -> None:
    assert pointers_of(LEAST | {"metadata": {"a": "ü" * (MAX_METADATA_BYTES // 2)}}) == ["/metadata"]


@pytest.mark.parametrize("metadata", [None, [], "text", 7, [{}]])
def test_any_other_metadata_is_refused(metadata: object) -> None:
    assert pointers_of(LEAST | {"metadata": metadata}) == ["/metadata"]


def test_metadata_that_is_nested_beyond_reason_is_refused() -> None:
    nested: dict[str, object] = {}
    for _ in range(300):
        nested = {"a": nested}
    assert pointers_of(LEAST | {"metadata": nested}) == ["/metadata"]


def test_metadata_keeps_its_order_and_its_values() -> None:
    metadata = {"z": 1, "a": [1.5, None, True, "ü", {"": {}}], "big": 2**64 - 1}
    draft = Draft.parse(LEAST | {"metadata": metadata})
    assert draft.metadata_json == '{"z":1,"a":[1.5,null,true,"ü",{"":{}}],"big":18446744073709551615}'
