"""Host names and origins that the extension's routes accept inside the webui, according to the webui's flags."""

from __future__ import annotations

from typing import Any

from sadtalker_ext.system.request_guard import AllowedHosts


def is_remote(flags: Any) -> bool:  # noqa: ANN401 - the host's parsed command line
    """Whether the webui accepts connections from other machines."""
    return any(getattr(flags, name, None) for name in ("listen", "share", "ngrok", "server_name"))


def allowed_hosts(flags: Any, names: object) -> AllowedHosts:  # noqa: ANN401
    """Return the accepted host names and origins: the webui's own page, allowed origins, and programs.

    A webui that accepts connections from other machines may have any host name; another one is addressed as localhost,
    by an IP address, or by one of ``names``, a text separated by commas.
    """
    return AllowedHosts(
        bound="", names=split_list(names), any_host=is_remote(flags),
        origins=split_list(getattr(flags, "cors_allow_origins", None)),
        origin_pattern=getattr(flags, "cors_allow_origins_regex", None) or "",
        remedy="list this name in the webui's settings for SadTalker",
    )  # fmt: skip


def split_list(text: object) -> tuple[str, ...]:
    """Return the non-empty parts of a text separated by commas."""
    return tuple(part.strip() for part in str(text or "").split(",") if part.strip())
