"""Which requests our routes answer inside the webui, as the webui's own flags say."""

from __future__ import annotations

from typing import Any

from sadtalker_ext.system.request_guard import AllowedHosts


def is_remote(flags: Any) -> bool:  # noqa: ANN401 - the host's parsed command line
    """Whether the webui was opened to other machines."""
    return any(getattr(flags, name, None) for name in ("listen", "share", "ngrok", "server_name"))


def allowed_hosts(flags: Any, names: object) -> AllowedHosts:  # noqa: ANN401
    """Requests of the webui's own page, of the origins that the webui allows, and of programs.

    A webui that is open to other machines may have any name; another one is called localhost, by an address, or by one
    of ``names``, a text with commas.
    """
    return AllowedHosts(
        bound="", names=listed(names), any_host=is_remote(flags),
        origins=listed(getattr(flags, "cors_allow_origins", None)),
        origin_pattern=getattr(flags, "cors_allow_origins_regex", None) or "",
        remedy="list this name in the webui's settings for SadTalker",
    )  # fmt: skip


def listed(text: object) -> tuple[str, ...]:
    """The parts of a text with commas."""
    return tuple(part.strip() for part in str(text or "").split(",") if part.strip())
