"""Files from outside: which are opened, the demuxers that ffmpeg may use for them, and how they are named to it.

ffmpeg chooses a demuxer by a file's content, and some demuxers open other files or addresses that the content or the
name gives: hls, dash, concat, imf, sdp, rtsp, rtp, webm_dash_manifest, vobsub, image2 (patterns), avisynth,
vapoursynth, lavfi. They are not listed here, nor is svg_pipe, whose library may load pictures, nor demuxers of
subtitles, text art and game files. Of those listed, mov follows external references with ``enable_drefs`` only, which
is off by default, and avi opens embedded subtitles in memory, with the same list. ``-protocol_whitelist file`` keeps
addresses out in any case. Names that a build of ffmpeg does not know do no harm.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import ContainerError, MediaError

_CONTAINERS: Final = (
    "3gp asf asf_o avi dhav dv flv gxf ivf kux live_flv m4a matroska mov mp4 mpeg mpegts mxf nsv nut ogg rm webm wtv"
)
_SOUNDS: Final = (
    "aac ac3 ac4 act adx aea aiff amr amrnb amrwb apac ape aptx aptx_hd au avr bonk caf codec2 daud dsf dss dts dtshd "
    "eac3 flac g722 g723_1 g726 g726le g729 gsm iamf iff ilbc ircam lc3 loas mlp mmf mp3 mpc mpc8 nistsphere oma osq "
    "paf pvf qcp rso sbc sds shn sln sox tak truehd tta voc vqf w64 wav wsd wv wve xa"
)
_PICTURE_STREAMS: Final = (
    "av1 avs2 avs3 cavsvideo dirac dnxhd evc h261 h263 h264 hevc m4v mjpeg mjpeg_2000 mpegvideo obu vc1 vc1test vvc "
    "yuv4mpegpipe"
)
_PICTURES: Final = (
    "apng gif ico jpegxl_anim webp_anim bmp_pipe cri_pipe dds_pipe dpx_pipe exr_pipe gem_pipe gif_pipe hdr_pipe "
    "j2k_pipe jpeg_pipe jpegls_pipe jpegxl_pipe jpegxs_pipe pam_pipe pbm_pipe pcx_pipe pfm_pipe pgm_pipe pgmyuv_pipe "
    "pgx_pipe phm_pipe photocd_pipe pictor_pipe png_pipe ppm_pipe psd_pipe qdraw_pipe qoi_pipe sgi_pipe sunrast_pipe "
    "tiff_pipe vbn_pipe webp_pipe xbm_pipe xpm_pipe xwd_pipe"
)
FILE_DEMUXERS: Final = tuple(sorted(f"{_CONTAINERS} {_SOUNDS} {_PICTURE_STREAMS} {_PICTURES}".split()))
"""For ``-format_whitelist``."""

_PATTERN: Final = re.compile(r"[%*?\[\]{}]")
_DEMUXERS_OF_PATTERNS: Final = {
    ".dpx": "dpx_pipe",
    ".exr": "exr_pipe",
    ".hdr": "hdr_pipe",
    ".jxl": "jpegxl_pipe",
    ".qoi": "qoi_pipe",
}
"""Pictures that Pillow does not open, by ending. ffmpeg takes names with certain characters for patterns (image2)."""
_DEMUXERS_OF_STARTS: Final = {
    ".jpg": (b"\xff\xd8\xff", "jpeg_pipe"),
    ".jpeg": (b"\xff\xd8\xff", "jpeg_pipe"),
    ".pam": (b"P7\n", "pam_pipe"),
}
"""Pictures that ffmpeg reads by image2 if it may choose: ending, first bytes, and the demuxer without patterns."""
_WITHOUT_START: Final = (".tga", ".wbmp")
"""Pictures that only their ending tells; image2 with patterns switched off reads them."""

HEAD_BYTES: Final = 1 << 16
"""As much of a file shows whether it is a playlist."""
_PLAYLIST_STARTS: Final = (
    b"#extm3u", b"#ext-x-", b"ffconcat version", b"[playlist]", b"[reference]", b"rtsptext", b"smptext", b"rtsp://",
    b"http://", b"https://", b"mms://",
)  # fmt: skip
_PLAYLIST_ELEMENTS: Final = re.compile(
    rb"<(?:\w+:)?(?:mpd|compositionplaylist|assetmap|packinglist|smil|asx|playlist|smoothstreamingmedia)[\s>]"
)
_SESSION: Final = re.compile(rb"v=0\s*[\r\n].*^(?:c=in ip|m=)", re.DOTALL | re.MULTILINE)


def picture_arguments(path: Path) -> list[str]:
    """The arguments that name the demuxer of a picture which ffmpeg would read by image2; empty for other files."""
    ending = path.suffix.lower()
    if ending in _WITHOUT_START:
        return ["-format_whitelist", "image2", "-f", "image2", "-pattern_type", "none"]
    start, demuxer = _DEMUXERS_OF_STARTS.get(ending, (b"", ""))
    if demuxer and _head(path, len(start)) == start:
        return ["-f", demuxer]
    if ending in _DEMUXERS_OF_PATTERNS and _PATTERN.search(path.name):
        return ["-f", _DEMUXERS_OF_PATTERNS[ending]]
    return []


def _head(path: Path, size: int) -> bytes:
    """The first bytes of a file; none where it cannot be opened."""
    try:
        with path.open("rb") as opened:
            return opened.read(size)
    except OSError:
        return b""


def is_playlist(head: bytes) -> bool:
    """Whether a file that begins with ``head`` names other files or addresses instead of holding sound or pictures.

    Knows HLS, DASH, concat, PLS, ASX, XSPF, SMIL, SDP and IMF. It makes a clear message possible; what is not known
    here is kept out by :data:`FILE_DEMUXERS`.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        return _PLAYLIST_ELEMENTS.search(text) is not None
    return text.startswith(_PLAYLIST_STARTS) or _SESSION.match(text) is not None


def file_argument(path: Path) -> str:
    """``path`` as ffmpeg must be told it: a plain file, whatever colons, dashes or percent signs its name has."""
    return f"file:{path.absolute()}"


def file_input(path: Path) -> list[str]:
    """The arguments that make ``path`` an input: one file, read by a demuxer that opens no other."""
    allowed = ["-protocol_whitelist", "file", "-format_whitelist", ",".join(FILE_DEMUXERS)]
    return [*allowed, *picture_arguments(path), "-i", file_argument(path)]


def require_media(path: str | Path, what: str) -> Path:
    """Like :func:`require_file`, for a file that ffmpeg is to read; ContainerError if it is a playlist."""
    file = require_file(path, what)
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError as e:
        raise MediaError(f"The {what} {file} cannot be opened ({reason(e)}): check its name and permissions") from e
    if is_playlist(head):
        raise container_error(file)
    return file


def container_error(path: Path) -> ContainerError:
    """The refusal of a file that could make ffmpeg read other files, or that no allowed demuxer reads."""
    return ContainerError(
        f"The file {path} is no sound, picture or video itself: playlists, stream descriptions and other files that "
        "name further files are not read; give the file with the sound or picture in it, for example WAV, PNG or MP4"
    )


def require_file(path: str | Path, what: str) -> Path:
    """``path`` if it is a readable, non-empty file; ``what`` ("sound", "picture", "video") is named in the error."""
    file = Path(path)
    try:
        if file.is_dir():
            raise MediaError(f"The {what} {file} is a folder: name one file inside it")
        if not file.exists():
            raise MediaError(f"The {what} {file} does not exist: check its name and folder")
        if not file.is_file() or _is_descriptor(file):
            raise MediaError(f"The {what} {file} is no ordinary file: save it to one first")  # it is read twice
        with file.open("rb") as opened:
            if not opened.read(1):
                raise MediaError(f"The {what} {file} is empty (0 bytes): export or download it again")
    except (OSError, ValueError) as e:
        raise MediaError(f"The {what} {file} cannot be opened ({reason(e)}): check its name and permissions") from e
    return file


def _is_descriptor(path: Path) -> bool:
    """Whether the name, or what it links to, stands for an open file of whoever asks, such as /dev/stdin.

    ffmpeg would open its own.
    """
    for _ in range(40):  # as many links as Linux follows
        folder = os.path.realpath(path.parent)
        if folder == "/dev" or folder.startswith(("/proc/", "/dev/fd")):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return True


def reason(error: OSError | ValueError) -> str:
    """The system's words for why a path will not do."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
