"""Make a video through the REST API, with the standard library only.

Start the server with ``sadtalker serve``, then:

Usage: python examples/rest_client.py http://127.0.0.1:7870/sadtalker/v1 me.jpg voice.mp3 talking.mp4
"""

import base64
import json
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError


def request(address: str, body: object = None) -> bytes:
    """Return the answer to a GET request, or to a POST request with a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(sent, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def encode_file(path: str) -> dict[str, str]:
    """Return a file as the API accepts it in JSON."""
    return {"base64": base64.b64encode(Path(path).read_bytes()).decode()}


def main(api: str, portrait: str, voice: str, output: str) -> int:
    """Submit the job, wait for it and download the video; 2 if it is refused or fails."""
    body = {"portrait": encode_file(portrait), "voice": encode_file(voice), "settings": {"still": True}}
    try:
        job = json.loads(request(f"{api}/jobs", body))
    except HTTPError as refused:
        print(json.load(refused)["detail"], file=sys.stderr)
        return 2
    while job["state"] in ("waiting", "running"):
        time.sleep(0.5)
        job = json.loads(request(f"{api}/jobs/{job['id']}"))
    if job["state"] != "done":
        print(job["error"], file=sys.stderr)
        return 2
    Path(output).write_bytes(request(f"{api}/jobs/{job['id']}/video"))
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
