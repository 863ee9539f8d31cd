"""A page that documents the routes of an OpenAPI description; it loads nothing from other servers."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{overflow:auto;padding:.8rem;border:1px solid #8888;border-radius:6px;font-size:.85rem}"
    "table{border-collapse:collapse}td{padding:.2rem .8rem .2rem 0;vertical-align:top}"
    "h2{border-top:1px solid #8888;padding-top:1rem;font-size:1.1rem}"
)
_EXAMPLE: Final = """curl -F portrait=@me.jpg -F voice=@voice.mp3 {base}/sadtalker/v1/jobs
curl {base}/sadtalker/v1/jobs/ID
curl -o video.mp4 {base}/sadtalker/v1/jobs/ID/video"""


def docs_page(description: Mapping[str, Any], base: str) -> str:
    """Return the HTML page.

    description: an OpenAPI description. base: address of the server, for the examples.
    """
    title = escape(f"{description['info']['title']} REST API {description['info']['version']}")
    routes = "".join(
        part
        for path, methods in description["paths"].items()
        for method, route in methods.items()
        for part in _route(method, path, route)
    )
    models = escape(json.dumps(description.get("components", {}).get("schemas", {}), indent=1, ensure_ascii=False))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><pre>{escape(_EXAMPLE.format(base=base))}</pre>"
        f'<p>As OpenAPI: <a href="openapi.json">openapi.json</a></p>{routes}'
        f"<h2>Models</h2><details><summary>JSON schemas</summary><pre>{models}</pre></details></body></html>"
    )


def _route(method: str, path: str, route: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
    yield f"<p><b>{escape(route.get('summary', ''))}</b>. {escape(route.get('description', ''))}</p>"
    for kind, body in route.get("requestBody", {}).get("content", {}).items():
        schema = escape(json.dumps(body["schema"], indent=1, ensure_ascii=False))
        yield f"<details><summary>Body as {escape(kind)}</summary><pre>{schema}</pre></details>"
    answers = "".join(
        f"<tr><td>{escape(code)}</td><td>{escape(answer['description'])}</td></tr>"
        for code, answer in sorted(route["responses"].items())
    )
    yield f"<details><summary>Responses</summary><table>{answers}</table></details>"
