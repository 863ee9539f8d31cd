"""A temporary public address for the page, through the relay that Gradio offers (``sadtalker ui --share``)."""

from __future__ import annotations

import inspect
import secrets
from typing import Final
from urllib.parse import urlsplit

from sadtalker_ext.errors import EngineError

LIFETIME: Final = "72 hours"
"""Time after which Gradio ends a relay."""


def open_share_link(port: int) -> str:
    """Make the server at ``port`` of this machine reachable from the Internet; return its ``https`` address.

    Gradio downloads its relay program on the first use. EngineError if the relay cannot be reached.
    """
    from gradio import networking

    arguments = ["127.0.0.1", port, secrets.token_urlsafe(32)]
    if len(inspect.signature(networking.setup_tunnel).parameters) > len(arguments):  # Gradio 4: address of the relay
        arguments.append(None)
    try:
        address = networking.setup_tunnel(*arguments)
    except Exception as e:  # classes differ between versions: network, download, relay program
        raise EngineError(
            f"The page has no public address, because Gradio's relay cannot be used ({_first_cause(e)}); check the "
            "connection to the Internet"
        ) from e
    return str(address)


def _first_cause(error: BaseException) -> str:
    """Return the message of the error that led to the others; those of HTTP libraries repeat it in long texts."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error).rstrip(".") or type(error).__name__


def host_name(address: str) -> str:
    """Return the host name of an address."""
    return urlsplit(address).hostname or ""
