"""What Gradio's own routes give away is limited here: the files they serve, other machines, and other origins."""

from __future__ import annotations

import re
from typing import Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.system.request_guard import READING, App, Message, Receive, Scope, Send, refuse
from sadtalker_ext.webui.uploads import inside, upload_folder

_FILE: Final = re.compile(r"/+((?:gradio_api/+)?)file[=/](.*)", re.DOTALL)
_UNUSED: Final = re.compile(r"/+(?:gradio_api/+)?(?:proxy=|component_server|monitoring|stream/)")
"""Routes that the page does not use: requests to other machines, methods of components, statistics, live sound."""
_CROSS_ORIGIN: Final = b"access-control-"
_OF_FILES: Final = (
    (b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox"),
)  # fmt: skip
"""An uploaded file is never run as a page of this server."""


class PageGate:
    """ASGI middleware around Gradio's application.

    Gradio 3 serves every file below the working directory, follows ``..`` after a folder of uploads and asks any
    address that stands behind ``/file=``; its answers may be read by every origin. Behind the gate, ``/file=`` serves
    files of the upload folder only, and no answer names another origin. Results are copied there by Gradio.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; WebSockets, by which Gradio 3 serves a queue that the page does not have, are closed."""
        if scope["type"] == "websocket":
            await refuse(scope, send, 403, "The page does not use WebSockets.")
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more: tuple[tuple[bytes, bytes], ...] = ((b"cross-origin-resource-policy", b"same-origin"),)
        if found := _FILE.match(scope["path"]):
            try:
                path = inside(found[2], (upload_folder(),))
            except MediaError as e:
                await refuse(scope, send, 404, str(e))
                return
            if scope["method"] not in READING:
                await refuse(scope, send, 405, "Files can only be read.")
                return
            whole = f"/{found[1]}file={path}"
            scope = {**scope, "path": whole, "raw_path": whole.encode()}
            more += _OF_FILES
        elif _UNUSED.match(scope["path"]):
            await refuse(scope, send, 404, "There is nothing at this address.")
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if not pair[0].lower().startswith(_CROSS_ORIGIN)]
                message = {**message, "headers": [*kept, *more]}
            await send(message)

        await self._app(scope, receive, answer)
