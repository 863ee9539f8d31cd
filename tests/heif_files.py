"""HEIF files written box by box (ISO/IEC 14496-12 and 23008-12), with tiles coded by ffmpeg."""

import struct
import subprocess

import numpy as np

from sadtalker_ext.ffmpeg import ffmpeg_program

TILE = 64
NO_TAGS = ""
FULL_RANGE = "scale=out_color_matrix=bt601:out_range=pc"
"""Filter for the colours that phones write."""
X265 = "keyint=1:crf=2:info=0:log-level=none:repeat-headers=0"


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind.encode() + content


def full_box(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def encode(frames, arguments, kind):
    """Code frames (H, W, 3) of one size, each on its own; return the bytes of the stream."""
    height, width = frames[0].shape[:2]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-"]
    command = [ffmpeg_program(), "-v", "error", *source, *arguments, "-f", kind, "-"]
    return subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True,
                          capture_output=True).stdout  # fmt: skip


def hevc_tiles(frames, pixel_format="yuv444p", filters=NO_TAGS):
    """Return the type, the configuration property and the coded data of each frame."""
    chain = f"{filters},format={pixel_format}" if filters else f"format={pixel_format}"
    stream = encode(frames, ["-vf", chain, "-c:v", "libx265", "-x265-params", X265], "hevc")
    units = [unit for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    kinds = [unit[0] >> 1 & 63 for unit in units]
    arrays = b"".join(
        struct.pack(">BHH", kind, 1, len(unit)) + unit
        for kind, unit in zip(kinds, units, strict=True) if 32 <= kind <= 34
    )  # fmt: skip
    configuration = b"\1" + bytes(20) + b"\3\3" + arrays
    slices = [unit for kind, unit in zip(kinds, units, strict=True) if kind < 32]
    return "hvc1", box("hvcC", configuration), [struct.pack(">I", len(unit)) + unit for unit in slices]


def av1_tiles(frames):
    """Like :func:`hevc_tiles` with AV1."""
    arguments = ["-vf", "format=yuv444p", "-c:v", "libaom-av1", "-crf", "4", "-g", "1", "-cpu-used", "8"]
    stream, parts = encode(frames, arguments, "ivf"), []
    at = 32
    while at < len(stream):
        (length,) = struct.unpack_from("<I", stream, at)
        parts.append(stream[at + 12 : at + 12 + length])
        at += 12 + length
    return "av01", box("av1C", bytes([0x81, 0x20, 0, 0])), parts


def split(picture, tile=TILE):
    """Return the tiles of a picture row by row; the last ones are padded by repeating its edge."""
    rows, columns = -(-picture.shape[0] // tile), -(-picture.shape[1] // tile)
    padding = ((0, rows * tile - picture.shape[0]), (0, columns * tile - picture.shape[1]), (0, 0))
    padded = np.pad(picture, padding, mode="edge")
    return rows, columns, [
        np.ascontiguousarray(padded[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile])
        for row in range(rows) for column in range(columns)
    ]  # fmt: skip


class HeifWriter:
    """Collects items; ``write`` returns the file. Numbers of items count from 1."""

    def __init__(self):
        self.items, self.properties, self.references = [], [], []

    def add(self, kind, data, *properties):
        """Add an item with properties, which are boxes in their order; return its number."""
        indices = []
        for one in properties:
            if one not in self.properties:
                self.properties.append(one)
            essential = 0x80 if one[4:8] in (b"irot", b"imir", b"clap", b"hvcC", b"av1C") else 0
            indices.append(self.properties.index(one) + 1 | essential)
        self.items.append((kind, data, indices))
        return len(self.items)

    def refer(self, kind, number, targets):
        self.references.append(box(kind, struct.pack(f">HH{len(targets)}H", number, len(targets), *targets)))

    def add_grid(self, coded, size, layout, *properties, tile_properties=()):
        """Add coded tiles and the grid of them; return the number of the grid. size: width, height."""
        kind, configuration, parts = coded
        extent = full_box("ispe", 0, 0, struct.pack(">II", TILE, TILE))
        numbers = [self.add(kind, part, configuration, extent, *tile_properties) for part in parts]
        content = struct.pack(">BBBBHH", 0, 0, layout[0] - 1, layout[1] - 1, *size)
        grid = self.add("grid", content, full_box("ispe", 0, 0, struct.pack(">II", *size)), *properties)
        self.refer("dimg", grid, numbers)
        return grid

    def write(self, primary, brand=b"heic"):
        head = box("ftyp", brand, bytes(4), b"mif1", brand)
        meta = self._meta(primary, 0)
        return head + self._meta(primary, len(head) + len(meta) + 8) + box("mdat", *(data for _, data, _ in self.items))

    def _meta(self, primary, start):
        handler = full_box("hdlr", 0, 0, bytes(4), b"pict", bytes(13))
        kinds, places, properties, at = [], [], [], start
        for number, (kind, data, indices) in enumerate(self.items, 1):
            kinds.append(full_box("infe", 2, 0, struct.pack(">HH", number, 0), kind.encode(), b"\0"))
            places.append(struct.pack(">HHHII", number, 0, 1, at, len(data)))
            properties.append(struct.pack(">HB", number, len(indices)) + bytes(indices))
            at += len(data)
        count = struct.pack(">H", len(self.items))
        associations = full_box("ipma", 0, 0, struct.pack(">I", len(self.items)), *properties)
        return full_box(
            "meta", 0, 0, handler, full_box("pitm", 0, 0, struct.pack(">H", primary)),
            full_box("iinf", 0, 0, count, *kinds), full_box("iloc", 0, 0, b"\x44\0", count, *places),
            box("iprp", box("ipco", *self.properties), associations), full_box("iref", 0, 0, *self.references),
        )  # fmt: skip


def nclx(primaries, transfer, matrix, *, full):
    return box("colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0x80 * full))


def grid_file(picture, *properties, code=hevc_tiles, tile_properties=(), brand=b"heic"):
    """Return a file with the picture (H, W, 3) as a grid of tiles of 64 px, as phones write it."""
    rows, columns, tiles = split(picture)
    writer, size = HeifWriter(), (picture.shape[1], picture.shape[0])
    grid = writer.add_grid(code(tiles), size, (rows, columns), *properties, tile_properties=tile_properties)
    return writer.write(grid, brand)
