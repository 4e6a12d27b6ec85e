"""The configuration: one commented YAML file, checked whole before anything starts.

A person edits it, so every complaint names the place and the fix, and all are told at once. Knows nothing of the
archive or the network, and nothing below it knows of it: callers hand on single values (`interval`, not `config`).
"""

from __future__ import annotations

from tosmon.config.loading import config_from, data_folder, find_config, load_config, user_config
from tosmon.config.problems import InvalidConfig, Problem
from tosmon.config.schema import Config, Email, Feeds, Hook, HookKind, Politeness, Recipient, Schedule, Security, Web

__all__ = [
    "Config",
    "Email",
    "Feeds",
    "Hook",
    "HookKind",
    "InvalidConfig",
    "Politeness",
    "Problem",
    "Recipient",
    "Schedule",
    "Security",
    "Web",
    "config_from",
    "data_folder",
    "find_config",
    "load_config",
    "user_config",
]
