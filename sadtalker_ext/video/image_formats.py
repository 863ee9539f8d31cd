"""Allow-list of picture formats, and rejection of documents by their content before any decoder reads them.

Pillow has readers for some forty formats. Some start other programs (EPS runs Ghostscript), some are for scientific
data, and few are well maintained. Only photographic formats are opened here, through one function. Documents and
drawings are recognised by their first bytes, whatever the file name, and rejected.
"""

from __future__ import annotations

import warnings
import zlib
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

OPENED: Final = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA")
"""Pillow's names of the allowed formats, tried in this order; TGA has no signature and comes last."""
READERS: Final = ("Png", "Jpeg", "Mpo", "WebP", "Gif", "Bmp", "Tiff", "Ppm", "Jpeg2K", "Avif", "Tga")
"""Pillow's modules with the readers of these formats; older versions have none for AVIF, and HEIF is a package of its
own. To import all of Pillow's readers would take longer than to import Pillow."""
HEAD_BYTES: Final = 1 << 16
"""Bytes at the start of a file that are searched for signatures."""
TEXT_BYTES: Final = 4096
"""Bytes at the start of a file that decide whether it is text."""
LEADING_BYTES: Final = 1024
"""PDF and PostScript signatures may be preceded by up to this many bytes."""

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (0, b"\x01\x00\x09\x00", "a Windows metafile (WMF)"),
    (0, b"\x02\x00\x09\x00", "a Windows metafile (WMF)"),
    (40, b" EMF", "a Windows metafile (EMF)"),
    (8, b"CDR", "a CorelDRAW drawing"),
    (0, b"AC10", "an AutoCAD drawing (DWG)"),
    (0, b"8BPS", "a Photoshop document (PSD)"),
    (0, b"gimp xcf", "a GIMP document (XCF)"),
    (20, b"GIMP", "a GIMP brush"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a FlashPix, Image Composer or Office document"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
    (0, b"Rar!", "an archive (RAR)"),
    (0, b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 data file"),
    (0, b"GRIB", "a weather data file (GRIB)"),
    (0, b"BUFR", "a weather data file (BUFR)"),
    (0, b"ZCZC", "a weather data file (BUFR)"),
    (0, b"\x00\x00\x00\x00\x00\x00\x00\x04", "a satellite data file (McIDAS)"),
    (0, b"SIMPLE  =", "an astronomical data file (FITS)"),
    (128, b"DICM", "a medical image (DICOM)"),
    (0, b"\x00\x00\x01\x00", "an icon (ICO)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"DDS ", "a texture (DDS)"),
    (0, b"BLP1", "a texture (BLP)"),
    (0, b"BLP2", "a texture (BLP)"),
    (0, b"FTEX", "a texture (FTEX)"),
    (0, b"qoif", "a QOI picture"),
    (0, b"\x01\xda\x00", "an SGI picture"),
    (0, b"\x01\xda\x01", "an SGI picture"),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (0, b"\xb1\x68\xde\x3a", "a PCX picture"),
    (0, b"\x0a\x00\x01", "a PCX picture"),
    (0, b"\x0a\x02\x01", "a PCX picture"),
    (0, b"\x0a\x03\x01", "a PCX picture"),
    (0, b"\x0a\x05\x01", "a PCX picture"),
    (0, b"\x80\xe8\x00\x00", "a PIXAR picture"),
    (0, b"DanM", "a Microsoft Paint picture (MSP)"),
    (0, b"LinS", "a Microsoft Paint picture (MSP)"),
    (0, b"P7 332", "a thumbnail of the program xv"),
    (2048, b"PCD_", "a Photo CD picture"),
)
"""Offset in the file, bytes there, and a description of the format."""
_IPTC_RECORDS: Final = (*range(1, 10), 240)
_NETPBM: Final = tuple(f"P{kind}{space}".encode() for kind in "123456fFy" for space in " \t\r\n")
RASTER: Final = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF", b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  ", *_NETPBM,
)  # fmt: skip
"""Signatures of allowed formats; PDF or PostScript signatures after them are ignored."""


def open_image(source: Path | IO[bytes], formats: tuple[str, ...] = OPENED) -> Image:
    """Open a picture in one of ``formats`` without decoding it; the only call of ``PIL.Image.open`` in this package.

    Raises Pillow's errors; UnidentifiedImageError for all other formats.
    """
    from PIL import Image

    _prepare_pillow()
    return Image.open(source, formats=[name for name in formats if name in Image.OPEN])


@lru_cache(maxsize=1)
def _prepare_pillow() -> None:
    """Load Pillow's readers of the allowed formats and ignore their warnings: damaged and large files raise errors."""
    from PIL import Image

    for name in READERS:
        with suppress(ImportError):
            import_module(f"PIL.{name}ImagePlugin")
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def load_optional_readers() -> None:
    """Add the readers of pillow-heif to Pillow if the package is installed; it is not needed by this package."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()


@lru_cache(maxsize=1)
def supported_extensions() -> frozenset[str]:
    """Return the file extensions, with dot and in lower case, of the formats that Pillow opens here."""
    from PIL import Image

    Image.init()
    _prepare_pillow()
    return frozenset(extension.lower() for extension, name in Image.registered_extensions().items() if name in OPENED)


def reject_documents(file: Path, role: str = "picture") -> None:
    """Raise MediaError if the first bytes of ``file`` are those of a drawing, a document or a data file.

    role: name of the file in the message.
    """
    found = describe_document(_read_head(file, role))
    if found:
        raise MediaError(
            "The ", FileRef(role, file), f" is {found}, which cannot be used as a picture: save it as PNG or JPEG"
        )


def reject_text(file: Path, role: str = "picture") -> None:
    """Raise MediaError for any other text file, such as a playlist that names other files."""
    if _is_text(_read_head(file, role)):
        raise MediaError(
            "The ", FileRef(role, file), " is a text file, not a picture or video that can be read; playlists and "
            "stream descriptions, which name other files, are not read: save it as PNG or JPEG",
        )  # fmt: skip


def _read_head(file: Path, role: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(HEAD_BYTES)
    except OSError as e:
        raise MediaError(
            "The ", FileRef(role, file), f" cannot be opened ({e.strerror}): check its name and permissions"
        ) from e


def unknown_format_error(file: Path, role: str) -> MediaError:
    """Return the error for a file that is neither a picture nor a video, or a picture that nothing reads."""
    head = _read_head(file, role)
    if head.startswith(RASTER) and not head.startswith(b"RIFF"):  # WAV and AVI files
        return MediaError(
            "The ", FileRef(role, file), " is damaged or incomplete (no picture could be read from it): export or "
            "download it again",
        )  # fmt: skip
    return MediaError(
        "The ",
        FileRef(role, file),
        " is not a picture or video that can be read, despite its name: save it as PNG or JPEG",
    )


def describe_document(head: bytes) -> str:
    """Return the format of a document, drawing or data file from its first 64 KiB; empty for all other files."""
    if head.startswith(b"\x1f\x8b"):
        return _describe_gzip(head)
    if head.startswith(RASTER) and head[8:11] != b"CDR":
        return ""
    page = _describe_page(head)
    if page:
        return page
    for offset, signature, description in _SIGNATURES:
        if head.startswith(signature, offset):
            return description
    if head[:1] == b"\x1c" and len(head) > 4 and head[1] in _IPTC_RECORDS:
        return "an IPTC record"
    return _describe_markup(head)


def _describe_page(head: bytes) -> str:
    """Return the format of PDF, PostScript and Illustrator files."""
    start = head[:LEADING_BYTES]
    if b"%PDF-" in start:
        return "an Illustrator drawing" if b"Adobe Illustrator" in head else "a PDF document"
    if b"%!PS" in start or start.lstrip(b"\x04\0 \t\r\n\f").startswith(b"%!"):
        if b"Adobe Illustrator" in head[:TEXT_BYTES]:
            return "an Illustrator drawing"
        return "an EPS drawing" if b"EPSF" in start else "a PostScript document"
    return ""


def _describe_markup(head: bytes) -> str:
    """Return the format of SVG files and web pages in any Unicode encoding."""
    if not _is_text(head):
        return ""
    text = head.replace(b"\0", b"").lower()
    if b"<html" in text or b"<!doctype html" in text:
        return "a web page"
    return "an SVG drawing" if b"<svg" in text or b":svg" in text or b"<!doctype svg" in text else ""


def _describe_gzip(head: bytes) -> str:
    """Return the format of a gzip file: some drawings are stored compressed (.svgz, .emz, .wmz)."""
    try:
        inner = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        inner = b""
    found = "" if inner.startswith(b"\x1f\x8b") else describe_document(inner)
    return found or "a compressed file (gzip)"


def _is_text(head: bytes) -> bool:
    """Return whether the file is text, such as a playlist, markup or source code; pictures and videos never are."""
    start = head[:TEXT_BYTES]
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0\0<", b"\0\0\xfe\xff")):  # UTF-16, UTF-32
        start = start[2:].replace(b"\0", b"")
    if not start or start.startswith((*_NETPBM, b"YUV4MPEG2 ", b"#?RADIANCE", b"#?RGBE")):
        return False
    return not any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in start)
