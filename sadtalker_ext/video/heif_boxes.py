"""The structure of HEIF files (HEIC, AVIF): items, their properties and where their data is.

ISO/IEC 14496-12 (boxes, item locations) and 23008-12 (image items, properties, derived images). Nothing is decoded
here. All numbers come from the file and are checked against its size; :class:`HeifError` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

BRANDS: Final = frozenset(
    b"mif1 mif2 mif3 miaf MiHE heic heix heim heis avif avio MA1A MA1B msf1 avis hevc hevx".split()
)
MAX_META_BYTES: Final = 1 << 24
"""The file of a camera has some kilobytes; 65,536 tiles need 4 MB."""
MAX_TOP_BOXES: Final = 1000
MAX_EXTENTS: Final = 1 << 18
"""Of all items together."""
ALPHA_TYPES: Final = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class HeifError(ValueError):
    """A file that is damaged or incomplete."""


@dataclass
class Item:
    """One item of a file.

    kind: its type, such as ``hvc1``, ``av01`` or ``grid``. properties: pairs of type and content, in the order in which
    transformations are applied. sources: numbers of the items that a derived image is made of. extents: pairs of
    offset and length in the file, or in ``HeifFile.inline`` if ``inline``.
    """

    kind: str = ""
    properties: list[tuple[str, bytes]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    extents: list[tuple[int, int]] = field(default_factory=list)
    inline: bool = False

    def property(self, kind: str) -> bytes | None:
        """Return the content of the first property of a type; None if there is none."""
        return next((content for name, content in self.properties if name == kind), None)


@dataclass
class HeifFile:
    """Items by number. primary: number of the picture to show. alpha: number of the alpha plane of a picture."""

    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    alpha: dict[int, int] = field(default_factory=dict)
    inline: bytes = b""

    def item(self, number: int) -> Item:
        """Return an item; HeifError if there is none with this number."""
        if number not in self.items:
            raise HeifError(f"there is no item {number}")
        return self.items[number]


class Fields:
    """Reads big-endian fields of a box one after the other; HeifError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int) -> int:
        """Return an unsigned integer of ``size`` bytes; 0 for size 0."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise HeifError("a box is shorter than its content")
        self._at += size
        return part

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self._data[self._at :]

    def version(self) -> tuple[int, int]:
        """Return version and flags of a full box."""
        return self.number(1), self.number(3)


def read_structure(path: Path) -> HeifFile | None:
    """Return the structure of a HEIF file; None for any other file, HeifError if it is damaged."""
    with path.open("rb") as file:
        head = Fields(file.read(4096))
        try:
            size, kind = head.number(4), head.take(4)
            brands = head.take(min(max(size, 8), 4096) - 8)
        except HeifError:
            return None
        if kind != b"ftyp" or not BRANDS & {brands[at : at + 4] for at in (0, *range(8, len(brands), 4))}:
            return None
        meta = _find_meta(file, path.stat().st_size)
    return None if meta is None else _read_meta(meta)


def _find_meta(file: IO[bytes], end: int) -> bytes | None:
    """Return the content of the file's meta box if it describes pictures; None if there is none."""
    at = 0
    for _ in range(MAX_TOP_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return None
        size, start = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - at
        if size < start:
            raise HeifError("a box is shorter than its header")
        if head[4:8] == b"meta":
            if size > MAX_META_BYTES or at + size > end:
                raise HeifError("the description of its pictures is cut off or too long")
            file.seek(at + start)
            meta = file.read(size - start)
            return meta if b"pict" in meta[:64] else None
        at += size
    raise HeifError("it has too many boxes")


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield type and content of the boxes in ``data``."""
    at = 0
    while at + 8 <= len(data):
        size, start = int.from_bytes(data[at : at + 4], "big"), 8
        kind = data[at + 4 : at + 8].decode("latin-1")
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < start or at + size > len(data):
            raise HeifError(f"the box {kind!r} is longer than its container")
        yield kind, data[at + start : at + size]
        at += size


def _read_meta(meta: bytes) -> HeifFile:
    file, parts = HeifFile(), dict(boxes(meta[4:]))
    if not {"pitm", "iinf", "iloc"} <= parts.keys():
        raise HeifError("it does not say which picture to show")
    file.inline = parts.get("idat", b"")
    fields = Fields(parts["pitm"])
    file.primary = fields.number(2 if fields.version()[0] == 0 else 4)
    _read_kinds(file, parts["iinf"])
    _read_locations(file, parts["iloc"])
    _read_properties(file, dict(boxes(parts.get("iprp", b""))))
    _read_references(file, parts.get("iref", b""))
    return file


def _read_kinds(file: HeifFile, data: bytes) -> None:
    fields = Fields(data)
    fields.number(2 if fields.version()[0] == 0 else 4)
    for kind, content in boxes(fields.rest()):
        entry = Fields(content)
        version, _ = entry.version()
        if kind == "infe" and version >= 2:
            number = entry.number(2 if version == 2 else 4)
            entry.number(2)
            file.items[number] = Item(entry.take(4).decode("latin-1"))


def _read_locations(file: HeifFile, data: bytes) -> None:
    fields = Fields(data)
    version, _ = fields.version()
    sizes = fields.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide, total = 2 if version < 2 else 4, 0
    for _ in range(fields.number(wide)):
        item = file.items.get(fields.number(wide), Item())
        method = fields.number(2) & 15 if version else 0
        elsewhere, base = fields.number(2), fields.number(base_size)
        item.inline = method == 1
        for _ in range(fields.number(2)):
            fields.number(index_size if version else 0)
            offset, length = fields.number(offset_size), fields.number(length_size)
            item.extents.append((base + offset, length))
            total += 1
            if total > MAX_EXTENTS:
                raise HeifError("its data is in too many pieces")
        if elsewhere or method > 1:
            item.kind = "elsewhere"  # data in other files or items is not read


def _read_properties(file: HeifFile, parts: dict[str, bytes]) -> None:
    known = list(boxes(parts.get("ipco", b"")))
    if "ipma" not in parts:
        return
    fields = Fields(parts["ipma"])
    version, flags = fields.version()
    size = 2 if flags & 1 else 1
    for _ in range(fields.number(4)):
        item = file.items.get(fields.number(2 if version == 0 else 4), Item())
        for _ in range(fields.number(1)):
            index = fields.number(size) & (0x7FFF if size == 2 else 0x7F)
            if 0 < index <= len(known):
                item.properties.append(known[index - 1])


def _read_references(file: HeifFile, data: bytes) -> None:
    if not data:
        return
    fields = Fields(data)
    size = 2 if fields.version()[0] == 0 else 4
    for kind, content in boxes(fields.rest()):
        entry = Fields(content)
        number = entry.number(size)
        targets = [entry.number(size) for _ in range(entry.number(2))]
        item = file.items.get(number, Item())
        if kind == "dimg":
            item.sources = targets
        elif kind == "auxl" and (item.property("auxC") or b"")[4:].split(b"\0")[0] in ALPHA_TYPES:
            file.alpha.update(dict.fromkeys(targets, number))
