"""The token that opens the operator's part of the web: from the environment alone, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tosmon.config import InvalidConfig, load_config

TOKEN = "0123456789abcdef"


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("text", ["", "web: {port: 8000}\n"])
def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path, text: str) -> None:
    """TOSMON_WEB_TOKEN, or the file that TOSMON_WEB_TOKEN_FILE names; without them there is none."""
    file = written(tmp_path, text or "services: []\n")
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    for environment in ({"TOSMON_WEB_TOKEN": TOKEN}, {"TOSMON_WEB_TOKEN_FILE": str(tmp_path / "token")}):
        config = load_config(file, environment)
        assert config.web.token is not None and config.web.token.get_secret_value() == TOKEN
        assert TOKEN not in repr(config) and TOKEN not in str(config.model_dump())

    assert load_config(file, {}).web.token is None


def test_a_token_in_the_file_is_refused(tmp_path: Path) -> None:
    """Configurations are shared and kept in git; secrets are not."""
    file = written(tmp_path, f"web: {{port: 8000, token: {TOKEN}}}\n")

    with pytest.raises(InvalidConfig, match=r"web\.token: a secret; take it out and set TOSMON_WEB_TOKEN"):
        load_config(file, {})


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    """What can be guessed is no token; the complaint does not repeat it."""
    file = written(tmp_path, "services: []\n")

    with pytest.raises(InvalidConfig, match="TOSMON_WEB_TOKEN: at least 16 characters") as refused:
        load_config(file, {"TOSMON_WEB_TOKEN": "hunter2"})
    assert "hunter2" not in str(refused.value)
