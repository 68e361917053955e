"""Outages: when an account's upstream was down, and what that does to deadlines.

A deadline is time in which the upstream could have been asked: while it is down, the clock of every deadline stands.
"""

from dataclasses import dataclass

DOWN_AFTER_S = 2.0  # of nothing but unusable answers
BRIDGED_S = 60.0  # between two of them it was not up: that is how long a change of the lane's holder may take
KEPT = 20
MAX_EXTENSION_S = 3 * 86_400.0  # a task that alone fails looks like an upstream that is down, and must end too


@dataclass(frozen=True, slots=True)
class Outages:
    """The last outages as (began, ended) in Unix seconds: in order, apart from each other by more than `BRIDGED_S`."""

    spans: tuple[tuple[float, float], ...] = ()

    def lasting(self, failing_since: float | None, *, now: float) -> "Outages":
        """Return the outages up to now, when since then no answer has been usable; None: the last one was."""
        if failing_since is None or now - failing_since < DOWN_AFTER_S:
            return self
        return Outages(_with_room(_bridged([*self.spans, (failing_since, now)])))

    def present(self, now: float) -> bool:
        """Whether the last one lasts until now, as told by `lasting`."""
        return bool(self.spans) and self.spans[-1][1] >= now

    def extended(self, deadline_at: float, *, since: float) -> float:
        """Return when a deadline that was set at `since` passes; outages give it at most `MAX_EXTENSION_S`."""
        given_s = 0.0
        for began, ended in self.spans:
            if began >= deadline_at + given_s:
                break
            given_s += max(0.0, ended - max(began, since))
        return deadline_at + min(given_s, MAX_EXTENSION_S)


def _bridged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for began, ended in sorted(spans):
        if found and began <= found[-1][1] + BRIDGED_S:
            found[-1] = (found[-1][0], max(found[-1][1], ended))
        else:
            found.append((began, ended))
    return found


def _with_room(spans: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Keep so many: the two closest to each other become one, as a deadline rather passes too late than too early."""
    while len(spans) > KEPT:
        gap = min(range(len(spans) - 1), key=lambda i: spans[i + 1][0] - spans[i][1])
        spans[gap : gap + 2] = [(spans[gap][0], spans[gap + 1][1])]
    return tuple(spans)
