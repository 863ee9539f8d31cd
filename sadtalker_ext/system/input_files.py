"""Checks of input files, the demuxers that ffmpeg may use for them, and the arguments that name them.

ffmpeg chooses a demuxer by a file's content, and some demuxers open other files or addresses that the content or the
name gives: hls, dash, concat, imf, sdp, rtsp, rtp, webm_dash_manifest, vobsub, image2 (patterns), avisynth,
vapoursynth, lavfi. They are not listed here, nor is svg_pipe, whose library may load pictures, nor demuxers of
subtitles, text art and game files. Of the listed ones, mov follows external references with ``enable_drefs`` only,
which is off by default, and avi opens embedded subtitles in memory, with the same list. ``-protocol_whitelist file``
keeps addresses out in any case. ffmpeg ignores names that its build does not know.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import ContainerError, FileRef, MediaError

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
"""Demuxers for ``-format_whitelist``."""

_PATTERN: Final = re.compile(r"[%*?\[\]{}]")
_DEMUXERS_BY_EXTENSION: Final = {
    ".dpx": "dpx_pipe",
    ".exr": "exr_pipe",
    ".hdr": "hdr_pipe",
    ".jxl": "jpegxl_pipe",
    ".qoi": "qoi_pipe",
}
"""Demuxers of pictures that Pillow does not open; otherwise ffmpeg reads characters such as % in names as patterns."""
_DEMUXERS_BY_SIGNATURE: Final = {
    ".jpg": (b"\xff\xd8\xff", "jpeg_pipe"),
    ".jpeg": (b"\xff\xd8\xff", "jpeg_pipe"),
    ".pam": (b"P7\n", "pam_pipe"),
}
"""Pictures for which ffmpeg chooses image2: extension, first bytes, and the demuxer without patterns."""
_WITHOUT_SIGNATURE: Final = (".tga", ".wbmp")
"""Pictures that only their extension identifies; they are read by image2 without patterns."""

HEAD_BYTES: Final = 1 << 16
"""Bytes at the start of a file that are searched for playlists."""
_PLAYLIST_STARTS: Final = (
    b"#extm3u", b"#ext-x-", b"ffconcat version", b"[playlist]", b"[reference]", b"rtsptext", b"smptext", b"rtsp://",
    b"http://", b"https://", b"mms://",
)  # fmt: skip
_PLAYLIST_ELEMENTS: Final = re.compile(
    rb"<(?:\w+:)?(?:mpd|compositionplaylist|assetmap|packinglist|smil|asx|playlist|smoothstreamingmedia)[\s>]"
)
_SESSION: Final = re.compile(rb"v=0\s*[\r\n].*^(?:c=in ip|m=)", re.DOTALL | re.MULTILINE)


def picture_arguments(path: Path) -> list[str]:
    """Return the demuxer arguments of a picture that ffmpeg would read by image2; empty for other files."""
    extension = path.suffix.lower()
    if extension in _WITHOUT_SIGNATURE:
        return ["-format_whitelist", "image2", "-f", "image2", "-pattern_type", "none"]
    start, demuxer = _DEMUXERS_BY_SIGNATURE.get(extension, (b"", ""))
    if demuxer and _read_head(path, len(start)) == start:
        return ["-f", demuxer]
    if extension in _DEMUXERS_BY_EXTENSION and _PATTERN.search(path.name):
        return ["-f", _DEMUXERS_BY_EXTENSION[extension]]
    return []


def _read_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; empty if it cannot be opened."""
    try:
        with path.open("rb") as opened:
            return opened.read(size)
    except OSError:
        return b""


def is_playlist(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a playlist that names other files or addresses.

    Detects HLS, DASH, concat, PLS, ASX, XSPF, SMIL, SDP and IMF, for a clear message. :data:`FILE_DEMUXERS` keeps out
    all others.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        return _PLAYLIST_ELEMENTS.search(text) is not None
    return text.startswith(_PLAYLIST_STARTS) or _SESSION.match(text) is not None


def file_argument(path: Path) -> str:
    """Return ``path`` as a ``file:`` URL, so that ffmpeg does not interpret colons, dashes or percent signs."""
    return f"file:{path.absolute()}"


def file_input(path: Path, demuxer: str = "") -> list[str]:
    """Return the arguments for the input ``path``, read by a demuxer that opens no other file.

    demuxer: one of :data:`FILE_DEMUXERS`, if the content of the file is known.
    """
    if demuxer:
        if demuxer not in FILE_DEMUXERS:
            raise ValueError(f"the demuxer {demuxer!r} is not allowed")
        return ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer, "-i", file_argument(path)]
    allowed = ["-protocol_whitelist", "file", "-format_whitelist", ",".join(FILE_DEMUXERS)]
    return [*allowed, *picture_arguments(path), "-i", file_argument(path)]


def wav_input(path: Path, part: tuple[int, int] | None = None) -> list[str]:
    """Return the arguments for a WAV file, read to its end whatever length its header states.

    part: begin and end in bytes of one of several WAV files that are joined in ``path``, read with its own header.
    """
    reader = ["-format_whitelist", "wav", "-f", "wav"]
    if part is None:
        return ["-protocol_whitelist", "file", *reader, "-ignore_length", "1", "-i", file_argument(path)]
    return part_input(path, part, "wav")


def part_input(path: Path, part: tuple[int, int], demuxer: str) -> list[str]:
    """Return the arguments for one of several files that are joined in ``path``, read as a separate file.

    part: its begin and end in bytes. demuxer: one of :data:`FILE_DEMUXERS`.
    """
    place = f"subfile,,start,{part[0]},end,{part[1]},,:{file_argument(path)}"
    return ["-protocol_whitelist", "subfile,file", "-format_whitelist", demuxer, "-f", demuxer, "-i", place]


def require_media(path: str | Path, role: str) -> Path:
    """Return ``path`` like :func:`require_file`, for ffmpeg input; ContainerError if it is a playlist."""
    file = require_file(path, role)
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError as e:
        raise _open_error(FileRef(role, file), e) from e
    if is_playlist(head):
        raise container_error(file, role)
    return file


def container_error(path: Path, role: str) -> ContainerError:
    """Return the error for a file that could make ffmpeg read other files, or that no allowed demuxer reads."""
    return ContainerError(
        "The ", FileRef(role, path), " is not an audio, picture or video file: playlists, stream descriptions and "
        "other files that name further files are not read; choose the file with the audio or picture itself, for "
        "example WAV, PNG or MP4",
    )  # fmt: skip


def _open_error(file: FileRef, cause: OSError | ValueError) -> MediaError:
    return MediaError("The ", file, f" cannot be opened ({reason(cause)}): check its name and permissions")


def require_file(path: str | Path, role: str) -> Path:
    """Return ``path`` if it is a readable, non-empty regular file; otherwise raise MediaError.

    role: name of the file in the message, such as "voice", "portrait" or "video".
    """
    file = Path(path)
    ref = FileRef(role, file)
    try:
        if file.is_dir():
            raise MediaError("The ", ref, " is a folder: choose a file in it")
        if not file.exists():
            raise MediaError("The ", ref, " does not exist: check its name and folder")
        if not file.is_file() or _is_descriptor(file):
            raise MediaError("The ", ref, " is not a regular file: save it to one first")  # files are read twice
        with file.open("rb") as opened:
            if not opened.read(1):
                raise MediaError("The ", ref, " is empty (0 bytes): export or download it again")
    except (OSError, ValueError) as e:
        raise _open_error(ref, e) from e
    return file


def _is_descriptor(path: Path) -> bool:
    """Return whether the path, or a link in it, names an open file of the calling process, such as /dev/stdin.

    ffmpeg would open its own file of that number.
    """
    for _ in range(40):  # the limit of Linux
        folder = os.path.realpath(path.parent)
        if folder == "/dev" or folder.startswith(("/proc/", "/dev/fd")):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return True


def reason(error: OSError | ValueError) -> str:
    """Return the system's message about a path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
