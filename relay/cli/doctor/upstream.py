"""What `relay doctor` checks of the upstream: one status call for a RequestID that nobody has."""

import ssl

from relay.cli.doctor.check import Check, Verdict, ok, warning
from relay.cli.doctor.slot import NotAsked, in_slot
from relay.clients.upstream import UpstreamClient
from relay.domain.account import DEFAULT_ACCOUNT, Account
from relay.domain.answer import Answer, AnswerKind
from relay.domain.errors import StoreUnavailableError
from relay.domain.operations import Operation
from relay.domain.task import TaskName
from relay.settings import Settings
from relay.store.store import Store

NOBODYS_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_NAME = "upstream"
_PATH = "mend RELAY_UPSTREAM_URL (the base URL of the account's region) or RELAY_UPSTREAM_STATUS_PATH"
_REACH = "see that RELAY_UPSTREAM_URL's host is right, resolves, and can be reached from here, by TLS for https"
_NO_PATH = (Verdict.WRONG, "there is no such path", _PATH)
_FAILING = (Verdict.WARNING, "it fails just now", "ask again later; should it stay so, ask the vendor")
_FINDINGS = {
    AnswerKind.PENDING: (Verdict.OK, "it answers", ""),
    AnswerKind.FINAL: (Verdict.OK, "it answers", ""),
    AnswerKind.REJECTED: (Verdict.OK, "it answers, and knows no such task, as it should", ""),
    AnswerKind.THROTTLED: (
        Verdict.WARNING,
        "it answers, and the account's limit is spent",
        "see who else uses the account's key; RELAY_UPSTREAM_SHARE leaves them a part",
    ),
    AnswerKind.UNAUTHORIZED: (Verdict.WRONG, "it refuses the key", "mend RELAY_UPSTREAM_API_KEY, its x-api-key"),
    AnswerKind.UNUSABLE: (Verdict.WRONG, "what answers is no status API", _PATH),
    AnswerKind.TIMEOUT: (Verdict.WRONG, "it does not answer", _REACH),
    AnswerKind.ERROR: (Verdict.WRONG, "it cannot be reached", _REACH),
}


NO_STORE = warning(
    _NAME, "not asked: without the store it cannot be told who polls the account just now", "mend the store first"
)
_UNASKED = {
    NotAsked.HELD: ok(_NAME, "not asked: a worker polls the account just now, and its metrics say what is answered"),
    NotAsked.SPENT: warning(
        _NAME, "not asked: the account's budget is spent", "ask again later; the day's limit may be used up"
    ),
}


async def check_upstream(settings: Settings, store: Store | None) -> Check:
    """Ask the upstream once, in a slot of the account's budget, and say what its answer means for the settings.

    Without a store no worker can be at work: `relay run` has one, and the others need one.
    """
    if settings.upstream_url is None or settings.upstream_api_key is None:
        return ok(_NAME, "RELAY_UPSTREAM_URL is unset: `relay run` starts the sandbox; `relay worker` needs it set")
    account = Account(
        name=DEFAULT_ACCOUNT,
        upstream_url=settings.upstream_url,
        api_key=settings.upstream_api_key.get_secret_value(),
        limit=settings.upstream_limit,
        share=settings.upstream_share,
        daily_limit=settings.upstream_daily_limit,
        status_path=settings.upstream_status_path,
    )
    client = UpstreamClient(ssl.create_default_context(), timeout_s=settings.upstream_timeout_s)
    nobodys = TaskName(DEFAULT_ACCOUNT, Operation.LEAD_UPDATE, NOBODYS_REQUEST_ID)
    try:
        if store is None:
            return judge(await client.ask(account, nobodys))
        answer = await in_slot(
            store, account, lambda: client.ask(account, nobodys), timeout_s=settings.upstream_timeout_s
        )
    except StoreUnavailableError as error:
        return warning(_NAME, f"not asked, since the budget is in the store: {error}", "mend the store first")
    finally:
        await client.aclose()
    return _UNASKED[answer] if isinstance(answer, NotAsked) else judge(answer)


def judge(answer: Answer) -> Check:
    """Return what an answer to a RequestID that nobody has says of the settings."""
    if answer.kind is AnswerKind.REJECTED and answer.detail == "http 404":
        verdict, found, mend = _NO_PATH
    elif answer.kind is AnswerKind.ERROR and answer.detail.startswith("http "):
        verdict, found, mend = _FAILING
    else:
        verdict, found, mend = _FINDINGS[answer.kind]
    said = answer.detail or str(answer.limit or "")
    return Check(_NAME, verdict, f"{found} ({answer.kind}{said and f': {said}'})", mend)
