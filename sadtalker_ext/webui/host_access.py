"""The webui's command line: who may use the extension's routes, and under which names.

SD.Next has other names for its flags for logins and origins: ``--auth``, ``--auth-file``, ``--cors-origins``,
``--cors-regex``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sadtalker_ext.system.request_guard import AllowedHosts
from sadtalker_ext.webui.host_modules import find

REMOTE_FLAGS: Final = ("listen", "share", "ngrok", "server_name")


def flag(name: str) -> Any:  # noqa: ANN401 - text, bool, or None
    """Return a flag of the webui's command line; None if it has no such flag."""
    return getattr(find("shared", "cmd_opts"), name, None)


def serves_api() -> bool:
    """Whether the webui serves its own REST API; a webui without the flag ``--api`` always does."""
    flags = find("shared", "cmd_opts")
    return bool(getattr(flags, "api", flags is not None) or getattr(flags, "nowebui", False))


def is_local() -> bool:
    """Whether only browsers on this machine can open the page."""
    flags = find("shared", "cmd_opts")
    return flags is not None and not is_remote(flags) and not getattr(flags, "hide_ui_dir_config", False)


def is_remote(flags: Any) -> bool:  # noqa: ANN401 - the webui's parsed command line
    """Whether the webui accepts connections from other machines."""
    return any(getattr(flags, name, None) for name in REMOTE_FLAGS)


def logins(flags: Any) -> str:  # noqa: ANN401
    """Return the user names and passwords of the webui's API, ``name:password`` separated by commas.

    Raises OSError if the file of ``--auth-file`` cannot be read; the API must then not be served.
    """
    texts = [getattr(flags, name, None) or "" for name in ("api_auth", "auth")]
    if file := getattr(flags, "auth_file", None):
        texts.append(",".join(Path(file).read_text("utf-8").splitlines()))
    return ",".join(text.replace('"', "") for text in texts if text)


def allowed_hosts(flags: Any, names: object) -> AllowedHosts:  # noqa: ANN401
    """Return the accepted host names and origins: the webui's own page, allowed origins, and programs.

    A webui that accepts connections from other machines may have any host name; another one is addressed as localhost,
    by an IP address, or by one of ``names``, a text separated by commas.
    """
    origins = [getattr(flags, name, None) for name in ("cors_allow_origins", "cors_origins")]
    patterns = [getattr(flags, name, None) for name in ("cors_allow_origins_regex", "cors_regex")]
    return AllowedHosts(
        bound="", names=split_list(names), any_host=is_remote(flags),
        origins=split_list(",".join(filter(None, origins))),
        origin_pattern=next(filter(None, patterns), ""),
        remedy="list this name in the webui's settings for SadTalker",
    )  # fmt: skip


def split_list(text: object) -> tuple[str, ...]:
    """Return the non-empty parts of a text separated by commas."""
    return tuple(part.strip() for part in str(text or "").split(",") if part.strip())
