"""From a file and the environment to a `Config`, or to everything that is wrong with them at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import platformdirs
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tosmon.config.problems import InvalidConfig, Place, Problem, as_written, did_you_mean, shown
from tosmon.config.schema import Config, Folders, Section, doubles, hook_variable
from tosmon.config.written import MAX_CHARACTERS, Written, read_yaml
from tosmon.errors import ConfigError

FILE_NAME = "config.yaml"


def find_config(given: Path | None, folder: Path, environment: Mapping[str, str]) -> Path:
    """The configuration to use: the one given, TOSMON_CONFIG, config.yaml in `folder`, or the user's own (XDG).

    Raises ConfigError when there is none, saying how to have one.
    """
    named = given or (Path(environment["TOSMON_CONFIG"]) if environment.get("TOSMON_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"{named}: no such configuration; make one with: tosmon --config {named} init")
        return named
    places = [folder / FILE_NAME, user_config()]
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(
        "no configuration found; make one here with: tosmon init\n(looked for " + " and ".join(map(str, places)) + ")"
    )


def user_config() -> Path:
    """The user's own configuration, which need not exist."""
    return platformdirs.user_config_path("tosmon") / FILE_NAME


def data_folder(file: Path) -> Path:
    """Where what tosmon writes lies: beside the configuration, or in the XDG data folder if it is the user's own."""
    folder = file.resolve().parent
    if folder == user_config().parent.resolve():
        return platformdirs.user_data_path("tosmon")
    return folder


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration file. Raises InvalidConfig (a ConfigError) that names every place to mend."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_CHARACTERS * 4 + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidConfig.of(Problem("the file", f"expected UTF-8 text; byte {error.start} is none")) from error
    folders = Folders(inputs=path.resolve().parent, data=data_folder(path))
    return _checked(read_yaml(text), folders, environment)


def config_from(values: object, folder: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The same from plain values, with relative paths leading to `folder`; the environment is empty unless given."""
    return _checked(Written(values), Folders(inputs=folder, data=folder), environment or {})


def _checked(written: Written, folders: Folders, environment: Mapping[str, str]) -> Config:
    problems: list[Problem] = []
    secrets = _secrets(environment, problems)
    values = _with_secrets(written.values, secrets, environment, problems, written)
    try:
        config = Config.model_validate(values, context=folders)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += [_problem(detail, written) for detail in details]
    else:
        for place, fix in doubles(config):
            seen = as_written(place, written.values)
            problems.append(Problem.at(seen, fix, line=written.line(seen)))
    if problems:
        problems.sort(key=lambda problem: problem.line or 0)
        raise InvalidConfig(tuple(dict.fromkeys(problems)))
    return config


_SHORTEST_TOKEN = 16


# --- secrets ------------------------------------------------------------------------------------------------------


def _secrets(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    found = {}
    for name in ("TOSMON_SMTP_PASSWORD", "TOSMON_WEB_TOKEN", "TOSMON_ARCHIVE"):
        try:
            value = _secret(name, environment)
        except InvalidConfig as error:
            problems += error.problems
        else:
            if value:
                found[name] = value
    return found


def _secret(name: str, environment: Mapping[str, str]) -> str | None:
    """A secret from the environment, or from the file that NAME_FILE points to (without its last line end)."""
    direct, file = environment.get(name), environment.get(f"{name}_FILE")
    if direct and file:
        raise InvalidConfig.of(Problem(name, f"set either {name} or {name}_FILE, not both"))
    if not file:
        return direct
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InvalidConfig.of(Problem(f"{name}_FILE", f"cannot read {file}: {reason}")) from error


def _with_secrets(
    values: object,
    secrets: Mapping[str, str],
    environment: Mapping[str, str],
    problems: list[Problem],
    written: Written,
) -> object:
    if not isinstance(values, Mapping):
        return values
    complete = dict(values)
    if "TOSMON_ARCHIVE" in secrets:
        complete["archive"] = secrets["TOSMON_ARCHIVE"]
    email = values.get("email")
    if isinstance(email, Mapping):
        if "password" in email:
            fix = "a secret; take it out and set TOSMON_SMTP_PASSWORD or TOSMON_SMTP_PASSWORD_FILE in the environment"
            problems.append(Problem.at(("email", "password"), fix, line=written.line(("email", "password"))))
        password = secrets.get("TOSMON_SMTP_PASSWORD")
        rest = {key: value for key, value in email.items() if key != "password"}
        complete["email"] = {**rest, "password": SecretStr(password)} if password else rest
    web = values.get("web")
    if isinstance(web, Mapping) and "token" in web:
        fix = "a secret; take it out and set TOSMON_WEB_TOKEN or TOSMON_WEB_TOKEN_FILE in the environment"
        problems.append(Problem.at(("web", "token"), fix, line=written.line(("web", "token"))))
        complete["web"] = web = {key: value for key, value in web.items() if key != "token"}
    if token := secrets.get("TOSMON_WEB_TOKEN"):
        if len(token) < _SHORTEST_TOKEN:
            fix = f"at least {_SHORTEST_TOKEN} characters; make one with: openssl rand -hex 24"
            problems.append(Problem("TOSMON_WEB_TOKEN", fix))
        elif web is None or isinstance(web, Mapping):
            complete["web"] = {**(web or {}), "token": SecretStr(token)}
    if isinstance(values.get("hooks"), Mapping | list | tuple):
        complete["hooks"] = _hooks_with_secrets(values["hooks"], environment, problems, written)
    return complete


def _hooks_with_secrets(
    hooks: object, environment: Mapping[str, str], problems: list[Problem], written: Written
) -> object:
    """Each hook with what the environment has for it; a secret in the file is a problem, as it is for mail."""
    if isinstance(hooks, Mapping):
        named = {name: {**hook, "name": name} if isinstance(hook, Mapping) else hook for name, hook in hooks.items()}
        return {
            name: _hook_with_secrets(hook, ("hooks", str(name)), environment, problems, written)
            for name, hook in named.items()
        }
    assert isinstance(hooks, list | tuple)
    return [
        _hook_with_secrets(hook, ("hooks", number), environment, problems, written) for number, hook in enumerate(hooks)
    ]


def _hook_with_secrets(
    hook: object, place: Place, environment: Mapping[str, str], problems: list[Problem], written: Written
) -> object:
    if not isinstance(hook, Mapping) or not isinstance(hook.get("name"), str):
        return hook
    variable = hook_variable(hook["name"])
    complete = {key: value for key, value in hook.items() if key not in ("secret", "secret_url")}
    for key in hook.keys() - complete.keys():
        fix = f"a secret; take it out and set {variable}_SECRET or {variable}_URL in the environment"
        problems.append(Problem.at((*place, key), fix, line=written.line((*place, key))))
    for key, ending in (("secret", "SECRET"), ("secret_url", "URL")):
        try:
            value = _secret(f"{variable}_{ending}", environment)
        except InvalidConfig as error:
            problems += error.problems
        else:
            complete |= {key: SecretStr(value)} if value else {}
    return complete


# --- what pydantic found, in our words ----------------------------------------------------------------------------


def _problem(detail: ErrorDetails, written: Written) -> Problem:
    location: Place = detail["loc"]
    place = as_written(location, written.values)
    context = detail.get("ctx", {})
    if detail["type"] == "tosmon.inner" and isinstance(detail["input"], list | tuple):
        place = (*place, int(context["index"]))
    return Problem.at(place, _fix(detail, location, context), line=written.line(place))


def _fix(detail: ErrorDetails, location: Place, context: Mapping[str, Any]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind.startswith("tosmon"):
        return str(context["words"])
    if kind == "missing":
        setting = _settings(_section_at(location[:-1])).get(str(location[-1]))
        purpose = ((setting.description if setting else None) or "a value").split(". ")[0].split(":")[0].rstrip(".")
        return f"missing; add {purpose[0].lower()}{purpose[1:]}"
    if kind == "extra_forbidden":
        return did_you_mean(str(location[-1]), _settings(_section_at(location[:-1])))
    what = _EXPECTED.get(kind)
    if kind == "enum":
        what = str(context["expected"]).replace("'", "")
    if what is None:
        return f"{detail['msg']}, got {shown(value)}"
    return f"expected {what.format(**context)}, got {shown(value)}"


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "settings (a mapping)",
    "model_attributes_type": "settings (a mapping)",
    "dict_type": "settings (a mapping)",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "invalid_key": "a key that is text",
}


def _settings(section: type[Section]) -> dict[str, FieldInfo]:
    """What may be written in a section, by the name it is written under."""
    return {field.alias or name: field for name, field in section.model_fields.items() if not field.exclude}


def _section_at(location: Place) -> type[Section]:
    """The section that a place lies in, by following the types of the settings."""
    section: type[Section] = Config
    for part in location:
        setting = _settings(section).get(str(part))
        if setting is not None:
            section = _section_in(setting.annotation) or section
    return section


def _section_in(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner))), None)
