"""Strategies for hostile values, settings and damaged files."""

import json

from hypothesis import strategies as st

from sadtalker_ext.setting_spec import parse_angles, parse_face
from sadtalker_ext.settings import Settings

SPECS = {spec.name: spec for spec in Settings.specs()}
ODD_TEXTS = (
    "", " ", "-", "--", "--5", "+", "²", "½", "١٢", "１２", "1_000", "0x10", "1e400", "-1e400", "nan", "inf", "-inf",
    "NaN", "Infinity", "1" * 400, "9" * 5000, "-0", "00", "1,", ",", "1,2,3,4", "1,2,3,4,5", "0,0,0,0", "-1,2,3,4",
    "1e9,1,1,1", "nan,1,1,1", "1;2", "true", "null", "None", "[]", "{}", "[1", "\0", "\x1b[31m", "a\nb", "\r\n",
    "\u202e", "\ufeff1", "\ud800", "\udcff", "é", "😀", "日本", "%s", "%(x)s", "{0}", "$HOME", "~", "..", "../x",
    "/etc/passwd", "C:\\x", "\\\\h\\x", "file:///etc/passwd", "http://127.0.0.1/", "largest", "0", "-1", "1.5", "1e2",
    "one", "a" * 300, "é" * 200,
)  # fmt: skip
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=40))
numbers = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(),
    st.sampled_from([0, -1, 1 << 63]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
"""Any JSON value, also numbers and texts that JSON cannot have."""
names = st.one_of(st.sampled_from(list(SPECS)), st.sampled_from(list(SPECS)), texts)


def accepted(spec):
    """Return a strategy for values that the setting accepts, also as text."""
    if spec.choices:
        return st.sampled_from(spec.choices)
    if isinstance(spec.default, bool):
        return st.booleans() | st.sampled_from(["true", "off", "1"])
    if isinstance(spec.default, int):
        plain = st.integers(int(spec.low), int(spec.high))
        return plain | plain.map(str) | plain.map(float)
    if isinstance(spec.default, float):
        plain = st.floats(spec.low, spec.high)
        return plain | plain.map(str)
    further = {parse_face: ["2", "10,20,30,40"], parse_angles: ["5", "-10,10"]}.get(spec.parse, [])
    return st.sampled_from([spec.default, *further])


settings = st.dictionaries(names, values, max_size=4)
"""Settings of which most are refused."""
valid_settings = st.fixed_dictionaries({}, optional={name: accepted(spec) for name, spec in SPECS.items()})


def as_json(value):
    """Return JSON bytes of any value; numbers that JSON cannot have are written as Python does."""
    try:
        return json.dumps(value).encode("utf-8", "surrogatepass")
    except ValueError:  # an integer with more digits than Python converts
        return b'{"seed": ' + b"9" * 5000 + b"}"


broken_json = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"[" * 100_000, b'{"a":' * 100_000, b'{"seed":1', b'"\\ud800"', b"\xff\xfe{\0}\0"]),
    values.map(as_json),
)


@st.composite
def damaged(draw, whole):
    """Return ``whole`` with a few bytes changed, removed, doubled or inserted, mostly near its start."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        near = draw(st.booleans())
        at = draw(st.integers(0, min(len(content), 96 if near else len(content))))
        size = draw(st.integers(1, 8))
        change = draw(st.sampled_from(["set", "set", "cut", "double", "insert", "end", "zero", "ones"]))
        if change == "set":
            content[at : at + size] = draw(st.binary(min_size=size, max_size=size))
        elif change == "cut":
            del content[at : at + size]
        elif change == "double":
            content[at:at] = content[at : at + size]
        elif change == "insert":
            content[at:at] = draw(st.binary(max_size=16))
        elif change == "end":
            del content[max(at, 8) :]
        else:
            content[at : at + size] = (b"\0" if change == "zero" else b"\xff") * size
    return bytes(content)
