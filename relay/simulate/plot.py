"""Plot: lag over time, drawn with characters."""

from collections.abc import Sequence

from relay.simulate.run import Run, Seen

_FLOOR_S = 0.01
_LABEL_WIDTH = 9


def plot(runs: Sequence[Run], *, width: int = 72, height: int = 12) -> str:
    """Draw the mean and the greatest lag of the tasks by when they ended, on a logarithmic scale."""
    columns, last_at = _columns([task for run in runs for task in run.seen], width)
    rows = [_row(columns, low_s) for low_s in reversed(_rungs(columns, height))]
    foot = f"0 s{f'{last_at:,.0f} s':>{width - 3}}"
    return "\n".join(
        [
            f"Lag of the tasks that ended in each {last_at / width:.3g} s: █ mean, ░ greatest",
            *rows,
            f"{'':>{_LABEL_WIDTH}} └{'─' * width}",
            f"{'':>{_LABEL_WIDTH}}  {foot}",
        ]
    )


_Column = tuple[float, float] | None  # mean and greatest lag, None where no task ended


def _columns(tasks: Sequence[Seen], width: int) -> tuple[list[_Column], float]:
    last_at = max((task.final_at for task in tasks), default=0.0) or 1.0
    lags_s: list[list[float]] = [[] for _ in range(width)]
    for task in tasks:
        lags_s[min(width - 1, int(task.final_at / last_at * width))].append(task.lag_s)
    return [(sum(each) / len(each), max(each)) if each else None for each in lags_s], last_at


def _rungs(columns: Sequence[_Column], height: int) -> list[float]:
    """Return the lag from which each row is filled, from below the least mean to the greatest lag in equal ratios."""
    drawn = [column for column in columns if column is not None]
    low_s = max(_FLOOR_S, min((mean_s for mean_s, _ in drawn), default=_FLOOR_S) / 2)
    high_s = max([2 * low_s, *(greatest_s for _, greatest_s in drawn)])
    return [low_s * (high_s / low_s) ** (rung / height) for rung in range(height)]


def _row(columns: Sequence[_Column], low_s: float) -> str:
    return f"{low_s:>{_LABEL_WIDTH - 2}.3g} s │{''.join(_cell(column, low_s) for column in columns)}".rstrip()


def _cell(column: _Column, low_s: float) -> str:
    if column is None or column[1] <= low_s:
        return " "
    return "█" if column[0] > low_s else "░"
