"""What `relay doctor` checks of the upstream: one status call for a RequestID that nobody has."""

import ssl

from relay.cli.doctor.check import Check, Verdict, ok
from relay.clients.upstream import UpstreamClient
from relay.domain.account import DEFAULT_ACCOUNT, Account
from relay.domain.answer import Answer, AnswerKind
from relay.domain.operations import Operation
from relay.domain.task import TaskName
from relay.settings import Settings

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


async def check_upstream(settings: Settings) -> Check:
    """Ask the upstream once, outside the relay's budget, and say what its answer means for the settings."""
    if settings.upstream_url is None or settings.upstream_api_key is None:
        return ok(_NAME, "RELAY_UPSTREAM_URL is unset: `relay run` starts the sandbox; `relay worker` needs it set")
    account = Account(
        name=DEFAULT_ACCOUNT,
        upstream_url=settings.upstream_url,
        api_key=settings.upstream_api_key.get_secret_value(),
        limit=settings.upstream_limit,
        status_path=settings.upstream_status_path,
    )
    client = UpstreamClient(ssl.create_default_context(), timeout_s=settings.upstream_timeout_s)
    try:
        answer = await client.ask(account, TaskName(DEFAULT_ACCOUNT, Operation.LEAD_UPDATE, NOBODYS_REQUEST_ID))
    finally:
        await client.aclose()
    return judge(answer)


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
