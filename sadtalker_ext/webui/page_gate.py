"""Restrictions on Gradio's own routes: which files they serve, no requests to other machines, no other origins."""

from __future__ import annotations

import re
from typing import Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.system.request_guard import SAFE_METHODS, App, Message, Receive, Scope, Send, reject
from sadtalker_ext.webui.uploads import resolve_inside, upload_folder

_FILE_ROUTE: Final = re.compile(r"/+((?:gradio_api/+)?)file[=/](.*)", re.DOTALL)
_UNUSED_ROUTE: Final = re.compile(r"/+(?:gradio_api/+)?(?:proxy=|component_server|monitoring|stream/|queue/status)")
"""Routes that the page does not use: requests to other machines, methods of components, statistics, live audio, and the
state of the queue, which Gradio 3 answers with an error if there is none."""
_CORS_HEADER: Final = b"access-control-"
_FILE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox"),
)  # fmt: skip
"""Keep browsers from running an uploaded file as a page of this server."""


class PageGate:
    """ASGI middleware around Gradio's application.

    Gradio 3 serves every file below the working directory, follows ``..`` after an upload folder, requests any URL
    after ``/file=``, and lets every origin read its responses. With the gate, ``/file=`` serves files of the upload
    folder only, to which Gradio copies results, and no response allows another origin.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. WebSockets are closed: Gradio 3 uses them for its queue, which the page does not use."""
        if scope["type"] == "websocket":
            await reject(scope, send, 403, "The page does not use WebSockets.")
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: tuple[tuple[bytes, bytes], ...] = ((b"cross-origin-resource-policy", b"same-origin"),)
        if found := _FILE_ROUTE.match(scope["path"]):
            try:
                path = resolve_inside(found[2], (upload_folder(),))
            except MediaError as e:
                await reject(scope, send, 404, str(e))
                return
            if scope["method"] not in SAFE_METHODS:
                await reject(scope, send, 405, "Files can only be read.")
                return
            file_route = f"/{found[1]}file={path}"
            scope = {**scope, "path": file_route, "raw_path": file_route.encode()}
            headers += _FILE_HEADERS
        elif _UNUSED_ROUTE.match(scope["path"]):
            await reject(scope, send, 404, "There is nothing at this address.")
            return

        async def send_restricted(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if not pair[0].lower().startswith(_CORS_HEADER)]
                message = {**message, "headers": [*kept, *headers]}
            await send(message)

        await self._app(scope, receive, send_restricted)
