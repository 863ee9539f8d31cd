"""Fixtures for several test folders: pictures, and files that try to make ffmpeg read other files."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from network_memo import FOLDERS, MEMO

from sadtalker_ext.ffmpeg import ffmpeg_program

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nprivate/secret.ts\n"
DASH = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static"
mediaPresentationDuration="PT3S" minBufferTime="PT1S"><BaseURL>private/</BaseURL><Period id="0" start="PT0S">
<AdaptationSet id="0" contentType="audio"><Representation id="0" mimeType="audio/mp4" codecs="mp4a.40.2"
bandwidth="69000" audioSamplingRate="44100">
<SegmentTemplate timescale="44100" initialization="init-stream$RepresentationID$.m4s"
media="chunk-stream$RepresentationID$-$Number%05d$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="132300" />
</SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></Period></MPD>
"""
CPL = """<?xml version="1.0" encoding="UTF-8"?>
<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">
<Id>urn:uuid:8713c020-2489-45f5-a9f7-87be539e20b5</Id><IssueDate>2021-07-13T17:06:22Z</IssueDate>
<ContentTitle>{secret}</ContentTitle><EditRate>25 1</EditRate><SegmentList></SegmentList></CompositionPlaylist>
"""
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n"
PLAYLISTS = {
    "hls": HLS + "#EXT-X-ENDLIST\n",
    "live hls": HLS,
    "hls with a mark": "\ufeff\r\n" + HLS,
    "dash": DASH,
    "dash after a long comment": DASH.replace("<MPD", f"<!--{900 * 'x'}-->\n<MPD", 1),
    "concat": "ffconcat version 1.0\nfile private/secret.wav\n",
    "concat with options": "ffconcat version 1.0\nfile 'private/secret.ts'\nduration 3\n",
    "sdp": SDP,
    "imf": CPL,
    "asx": '<asx version="3.0"><entry><ref href="file://{secret}"/></entry></asx>',
    "pls": "[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
    "rtsp": "RTSPtext\nrtsp://127.0.0.1:9/{secret}\n",
    "tedcaptions": '{{"captions":[{{"duration":1,"content":"{secret}","startOfParagraph":true,"startTime":0}}]}}',
}
"""Playlists by format; ``{secret}`` is the path of an existing file, so that a reader that follows them finds it."""


TESTS = Path(__file__).parent
SLOW_FILES = frozenset((TESTS / "slow_tests.txt").read_text("utf-8").split())


def pytest_configure(config):
    """Set the number of generated cases (tests/fuzz): 500 for ``pytest -m fuzz``, 100 in a run of other tests too."""
    os.environ.setdefault("FUZZ_CASES", "500" if config.option.markexpr.strip() == "fuzz" else "100")


GENERATED = Counter()
"""Generated cases that ran and that were expected, of this process and of the processes that pytest-xdist started."""


def pytest_sessionfinish(session):
    """Count the generated cases; a process that pytest-xdist started sends its counts to the one that prints them."""
    if module := sys.modules.get("fuzz_cases"):
        counts = {name: module.counts[name] for name in ("cases", "expected")}
        sent = getattr(session.config, "workeroutput", None)
        GENERATED.update(counts) if sent is None else sent.update(generated=counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    GENERATED.update(getattr(node, "workeroutput", {}).get("generated", {}))


def pytest_terminal_summary(terminalreporter):
    """Say how many cases ran, before pytest's own summary."""
    if GENERATED["expected"]:
        ran, seed = f"{GENERATED['cases']} of {GENERATED['expected']}", os.environ.get("FUZZ_SEED", "0")
        terminalreporter.write_line(f"generated cases: {ran}, seed {seed}")


def pytest_collection_modifyitems(items):
    """Mark the tests of the files listed in slow_tests.txt; ``pytest -m "not slow"`` runs the others."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix() in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


RESTORERS = "sadtalker_ext.pipeline.restoration.registry"


@pytest.fixture(autouse=True)
def _registered_restorers():
    """Forget the restorers that a test registers, so that tests can run in any order."""

    def tables():
        registry = sys.modules.get(RESTORERS)
        return [] if registry is None else [registry._RESTORERS, registry._UPSCALERS]

    before = [dict(table) for table in tables()] or [{}, {}]
    yield
    for table, known in zip(tables(), before, strict=False):
        table.clear()
        table.update(known)


@pytest.fixture(autouse=True)
def _results_of_face_networks(request):
    """Let tests of what is built on the face networks use results that this process has computed."""
    MEMO.install()
    MEMO.active = request.path.relative_to(TESTS).parts[0] in FOLDERS
    yield
    MEMO.active = False


@pytest.fixture(scope="session")
def private_folder(tmp_path_factory):
    """A folder with three seconds of audio as WAV and as segments of HLS and DASH."""
    folder = tmp_path_factory.mktemp("private")
    for name in ("secret.wav", "secret.ts", "secret.mpd"):
        command = [ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", "sine=d=3", name]
        subprocess.run(command, check=True, cwd=folder)
    return folder


@pytest.fixture
def secret(private_folder, tmp_path):
    """An audio file that must not be read, in its own folder."""
    return Path(shutil.copytree(private_folder, tmp_path / "private")) / "secret.wav"


@pytest.fixture(params=PLAYLISTS)
def playlist(request, secret):
    """Write a playlist that names the secret, with the given name, next to the folder of the secret."""

    def write(name):
        path = secret.parents[1] / name
        path.write_text(PLAYLISTS[request.param].format(secret=secret), "utf-8", newline="")
        return path

    return write


@pytest.fixture(scope="session")
def astronaut():
    from skimage.data import astronaut as read

    return read()


@pytest.fixture(scope="session")
def two_faces(astronaut):
    """The astronaut at 60 % on the left and at full size on the right; (512, 820, 3)."""
    small = cv2.resize(astronaut, (308, 308), interpolation=cv2.INTER_AREA)
    left = np.full((512, 308, 3), 120, np.uint8)
    left[100:408] = small
    return np.hstack([left, astronaut])
