"""Small drawings, documents and data files, each with a phrase of its error message, and a helper that reads them."""

import gzip
import struct
import time

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.picture import read_picture

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><rect width="99" height="99"/></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n0 0 99 99 rectfill\nshowpage\n%%EOF\n"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n%%EOF\n"
EMF = struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + bytes(64)
WMF = b"\xd7\xcd\xc6\x9a" + bytes(18) + b"\x01\x00\x09\x00\x00\x03" + bytes(60)

DOCUMENTS = {
    "svg": (SVG, "an SVG drawing"),
    "svg_declared": (b'<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg>\n' + SVG, "an SVG drawing"),
    "svg_bom": (b"\xef\xbb\xbf \n" + SVG, "an SVG drawing"),
    "svg_utf16": (SVG.decode().encode("utf-16"), "an SVG drawing"),
    "svg_utf16_be": (b"\xfe\xff" + SVG.decode().encode("utf-16-be"), "an SVG drawing"),
    "svg_utf16_plain": (SVG.decode().encode("utf-16-le"), "an SVG drawing"),
    "svg_utf32": (SVG.decode().encode("utf-32"), "an SVG drawing"),
    "svg_prefixed": (b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "svg_late": (b"<!--" + b"x" * 200_000 + b"-->" + SVG, "not a picture or video that can be read"),
    "svgz": (gzip.compress(SVG), "an SVG drawing"),
    "pdf": (PDF, "a PDF document"),
    "pdf_late": (b"\0\x01junk" * 50 + PDF, "a PDF document"),
    "ai_pdf": (PDF + b"<xmp:CreatorTool>Adobe Illustrator CS6</xmp:CreatorTool>", "an Illustrator drawing"),
    "ai": (b"%!PS-Adobe-3.0\n%%Creator: Adobe Illustrator(R) 8.0\n", "an Illustrator drawing"),
    "eps": (EPS, "an EPS drawing"),
    "eps_dos": (b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(EPS)) + bytes(18) + EPS, "an EPS drawing"),
    "eps_ctrl_d": (b"\x04" + EPS, "an EPS drawing"),
    "eps_late": (b"\r\n \n" + EPS, "an EPS drawing"),
    "eps_gz": (gzip.compress(EPS), "an EPS drawing"),
    "ps": (b"%!\n100 100 moveto\nshowpage\n", "a PostScript document"),
    "ps_job": (b"\x1b%-12345X@PJL JOB\n@PJL ENTER LANGUAGE=POSTSCRIPT\n%!PS-Adobe-3.0\n", "a PostScript document"),
    "wmf": (WMF, "a Windows metafile"),
    "wmf_plain": (WMF[22:], "a Windows metafile"),
    "emf": (EMF, "a Windows metafile"),
    "emz": (gzip.compress(EMF), "a Windows metafile"),
    "cdr": (b"RIFF\x40\0\0\0CDRAvrsn" + bytes(60), "a CorelDRAW drawing"),
    "psd": (b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 100, 100, 8, 3) + bytes(200), "a Photoshop document"),
    "xcf": (b"gimp xcf v011\0" + bytes(100), "a GIMP document"),
    "fpx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "FlashPix"),
    "zip": (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 data file"),
    "grib": (b"GRIB" + bytes(4) + b"\x01" + bytes(100), "GRIB"),
    "bufr": (b"BUFR" + bytes(100), "BUFR"),
    "iptc": (b"\x1c\x02\x00\x00\x02\x00\x02" + bytes(100), "an IPTC record"),
    "fits": (b"SIMPLE  =                    T" + b" " * 2850, "FITS"),
    "mcidas": (b"\0\0\0\0\0\0\0\x04" + bytes(300), "McIDAS"),
    "dicom": (bytes(128) + b"DICM" + bytes(100), "DICOM"),
    "ico": (b"\0\0\x01\0\x01\0" + bytes(100), "an icon"),
    "icns": (b"icns" + bytes(100), "an icon"),
    "dds": (b"DDS \x7c\0\0\0" + bytes(200), "a texture"),
    "pcx": (b"\x0a\x05\x01\x08" + bytes(200), "a PCX picture"),
    "pcd": (b"\xff" * 2048 + b"PCD_IPI" + bytes(100), "a Photo CD picture"),
    "html": (b"<!DOCTYPE html>\n<html><body>" + SVG + b"</body></html>", "a web page"),
    "gz": (gzip.compress(bytes(1000)), "a compressed file"),
    "playlist": (b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n", "not a picture or video that can be read"),
    "concat": (b"ffconcat version 1.0\nfile /etc/hostname\n", "not a picture or video that can be read"),
    "xpm": (b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n"a c #000000",\n"a"};\n', "not a picture or video"),
}

LIMIT_PX = 2048
QUICK_S = 5.0
"""Much longer than a rejection takes, much shorter than decoding these files."""
READING = """
import sys
from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.picture import read_picture
try:
    read_picture(sys.argv[1], 2048)
except MediaError:
    print("refused")
"""


def error_of(path):
    begun_s = time.monotonic()
    with pytest.raises(MediaError) as caught:
        read_picture(path, LIMIT_PX)
    assert time.monotonic() - begun_s < QUICK_S
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)
