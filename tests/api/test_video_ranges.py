"""Videos are served as a whole and in byte ranges, with the answers of RFC 9110."""

import pytest
from rest_requests import JOBS

from sadtalker_ext.api.video_response import read_range


@pytest.fixture
def video(serve, portrait_file, voice_file):
    service = serve()
    job = service.upload(portrait_file, voice_file).json()["id"]
    assert service.wait(job)["state"] == "done"
    return service.client, f"{JOBS}/{job}/video"


def test_head_and_ranges_of_a_video(video):
    client, path = video
    whole = client.get(path)
    content = whole.content
    size = len(content)
    assert (whole.status_code, whole.headers["accept-ranges"], content[4:8]) == (200, "bytes", b"ftyp")
    assert "content-range" not in whole.headers
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert head.headers["etag"] == whole.headers["etag"]
    for text, begin, end in (
        ("0-99", 0, 100), ("100-", 100, size), ("0-", 0, size), ("-10", size - 10, size), (f"-{size * 9}", 0, size),
        (f"{size - 1}-{size * 9}", size - 1, size),
    ):  # fmt: skip
        part = client.get(path, headers={"Range": f"bytes={text}"})
        assert (part.status_code, part.content) == (206, content[begin:end])
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - begin)
    assert client.get(path, headers={"Range": "Bytes=1-2"}).content == content[1:3]  # units have no case
    for text in (f"{size}-", "999999999999-", "-0"):
        part = client.get(path, headers={"Range": f"bytes={text}"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (416, b"", f"bytes */{size}")


def test_malformed_and_outdated_ranges_give_the_whole_video(video):
    client, path = video
    whole = client.get(path)
    for text in (
        "bytes=x",
        "bytes=-",
        "bytes=9-2",
        "bytes=0-1,4-5",
        "items=0-1",
        "bytes=" + "9" * 30 + "-",
        "bytes=²-",
    ):
        part = client.get(path, headers={"Range": text.encode()})
        assert (part.status_code, part.content) == (200, whole.content)
    for tag, code in ((whole.headers["etag"], 206), ('"other"', 200)):
        assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == code


def test_every_range_is_within_the_file():
    for size in (1, 5):
        for begin in range(8):
            for end in range(begin, 8):
                found = read_range(f"bytes={begin}-{end}", size)
                assert b"01234"[:size][slice(*found)] == b"01234"[:size][begin : end + 1]
