"""The server of the page and its upload folder."""

import os
import socket
import subprocess
import sys
import urllib.request

import pytest

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.request_guard import reject
from sadtalker_ext.webui.page_server import PageServer, bind_socket, local_url


async def hello(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


def test_serves_until_it_is_closed():
    server = PageServer(hello, "127.0.0.1", 0)
    assert urllib.request.urlopen(server.address, timeout=10).read() == b"hello"
    server.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server.address, timeout=10)
    server.wait()


async def refuse(scope, receive, send):
    if scope["type"] == "http":
        await reject(scope, send, 413, "too large")


def test_answer_to_a_refused_upload_can_be_read():
    """Without a reset of the connection, although the client sends its whole body before it reads."""
    server = PageServer(refuse, "127.0.0.1", 0)
    head = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 16000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(head + bytes(16_000_000))
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    server.close()
    assert received.startswith(b"HTTP/1.1 413")
    assert received.endswith(b'"too large"}')


def test_an_unusable_address_is_an_engine_error():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        taken = [("127.0.0.1", port), ("127.0.0.1", 99999), ("127.0.0.1", -1), ("192.0.2.1", 0), ("a" * 70, 0)]
        for host, wrong in taken:
            with pytest.raises(EngineError, match="choose another --"):
                bind_socket(host, wrong)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"), ("0.0.0.0", "http://127.0.0.1:80/"), ("::", "http://[::1]:80/"),
        ("::1", "http://[::1]:80/"), ("[::1]", "http://[::1]:80/"), ("box.lan", "http://box.lan:80/"),
    ],
)  # fmt: skip
def test_the_url_of_the_server(host, address):
    assert local_url(host, 80) == address


OWN_FOLDER = """
import os, stat
from sadtalker_ext.webui.standalone import use_own_upload_folder
use_own_upload_folder()
folder = os.environ["GRADIO_TEMP_DIR"]
open(os.path.join(folder, "upload"), "w").close()
print(folder, oct(stat.S_IMODE(os.stat(folder).st_mode)))
use_own_upload_folder()
assert os.environ["GRADIO_TEMP_DIR"] == folder
"""


def test_each_process_has_its_own_upload_folder(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    command = [sys.executable, "-c", OWN_FOLDER]
    folders = [
        subprocess.run(
            command, env=environment | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert folders[0][0] != folders[1][0]
    assert os.name == "nt" or {mode for _, mode in folders} == {"0o700"}
    assert list(tmp_path.iterdir()) == []
    named = subprocess.run(
        command, env=environment | {"GRADIO_TEMP_DIR": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert named.stdout.split()[0] == str(tmp_path)
    assert (tmp_path / "upload").exists()
