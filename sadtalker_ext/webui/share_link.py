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
            f"The page cannot be shared, because Gradio's relay cannot be used ({e}); check the connection to the "
            "Internet, or omit --share"
        ) from e
    return str(address)


def host_name(address: str) -> str:
    """Return the host name of an address."""
    return urlsplit(address).hostname or ""
