"""What ``airflow-tiktok status`` puts out: JSON with stable keys, or a table for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from airflow_provider_tiktok.api.oauth import scopes_of
from airflow_provider_tiktok.cli.accounts import Looked
from airflow_provider_tiktok.cli.verdict import NEEDS_A_PERSON, Condition, Verdict

#: Characters a line, where nobody says how wide the output is.
WIDTH = 170
_STYLES = {
    Condition.OK: "green",
    Condition.ENDING: "yellow",
    Condition.UNKNOWN: "yellow",
    Condition.BROKEN: "bold red",
}
_LIVE = {True: "TikTok takes it", False: "TikTok does not take it", None: ""}


def fields(seen: Looked, verdict: Verdict, now: float) -> dict[str, Any]:
    """
    Give what ``--json`` prints of one account; a key stays, whatever is added later. None = not known.

    :param seen: what was found
    :param verdict: what it means
    :param now: seconds since 1970
    """
    state = seen.state
    return {
        "conn_id": seen.conn_id,
        "condition": str(verdict.condition),
        "needs_person": verdict.condition in NEEDS_A_PERSON,
        "problem": verdict.problem or None,
        "fix": verdict.fix or None,
        "creator": seen.creator or None,
        "open_id": state.open_id or None,
        "scopes": list(scopes_of(state.scope)),
        "live": seen.live,
        "access_expires_at": _moment(state.expires_at),
        "access_expires_in": _left(state.expires_at, now),
        "refresh_expires_at": _moment(state.refresh_expires_at),
        "refresh_expires_in": _left(state.refresh_expires_at, now),
        "generation": state.generation if seen.kept else None,
        "grant": seen.kept or None,
        "newer_login": seen.newer_login,
        "source": seen.source or None,
        "host": seen.host or None,
    }


def as_json(accounts: Sequence[dict[str, Any]]) -> str:
    """
    Give the JSON.

    :param accounts: from :func:`fields`
    """
    return json.dumps({"accounts": list(accounts)}, indent=2)


def show_table(results: IO[str], accounts: Sequence[dict[str, Any]]) -> None:
    """
    Print the table, and below it what is wrong and how to mend it.

    :param results: where to
    :param accounts: from :func:`fields`
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=results)
    if not console.is_terminal:
        console = Console(file=results, width=WIDTH)
    table = Table()
    for heading in ("connection", "creator", "allowed", "access token", "refresh token", "grant", ""):
        table.add_column(heading, overflow="fold")
    for each in accounts:
        table.add_row(
            Text(f"{each['conn_id']}\n{each['source'] or ''}"),
            Text(f"{each['creator'] or ''}\n{each['open_id'] or ''}".strip()),
            Text("\n".join(each["scopes"]) or "not known"),
            Text(f"{_time(each, 'access')}\n{_LIVE[each['live']]}".strip()),
            Text(_time(each, "refresh")),
            Text(_grant(each)),
            Text(each["condition"], style=_STYLES[Condition(each["condition"])]),
        )
    console.print(table)
    for each in accounts:
        if each["problem"]:
            console.print(Text(f"{each['conn_id']}: {each['problem']}\n  What to do: {each['fix']}"))
    results.flush()


def _grant(each: dict[str, Any]) -> str:
    if each["newer_login"]:
        return "a newer login,\nwhich the next task takes"
    kinds = {"stored": f"generation {each['generation']}", "connection": "as first given", None: ""}
    return kinds[each["grant"]]


def _time(each: dict[str, Any], token: str) -> str:
    seconds, moment = each[f"{token}_expires_in"], each[f"{token}_expires_at"]
    if seconds is None:
        return "not known"
    left = f"{_length(seconds)} left" if seconds > 0 else f"ended {_length(-seconds)} ago"
    return f"{left}\n{moment.replace('T', ' ').replace('+00:00', ' UTC')}"


def _length(seconds: int) -> str:
    """Give a length of time as a person would: in its two largest units."""
    span = timedelta(seconds=seconds)
    hours, rest = divmod(span.seconds, 3600)
    parts = {"d": span.days, "h": hours, "min": rest // 60, "s": rest % 60}
    shown = [f"{count} {unit}" for unit, count in parts.items() if count]
    return " ".join(shown[:2]) or "0 s"


def _moment(seconds: float) -> str | None:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if seconds else None


def _left(seconds: float, now: float) -> int | None:
    return int(seconds - now) if seconds else None
