"""Alerts and flags as JSON and back: the one place where their stored form is decided."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from pydantic import TypeAdapter

from tosmon.model import Alert, Flag

_alert = TypeAdapter(Alert)
_flag = TypeAdapter(Flag)


def alert_to_json(alert: Alert) -> str:
    return _alert.dump_json(alert, exclude={"id"}).decode()


@lru_cache(maxsize=1024)  # feeds ask for the same latest alerts again and again, and an alert never changes
def alert_from_json(body: str) -> Alert:
    return _alert.validate_json(body)


@lru_cache(maxsize=1024)
def stored_alert(body: str, alert_id: int) -> Alert:
    """An alert with the id under which it is stored."""
    return replace(alert_from_json(body), id=alert_id)


def flag_to_json(flag: Flag) -> str:
    return _flag.dump_json(flag).decode()


def flag_from_json(body: str) -> Flag:
    return _flag.validate_json(body)
