"""Display names of uploaded files."""

import pytest

from sadtalker_ext.pipeline.file_names import display_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\me\\a b.wav", "a b.wav"),
        ("../../etc/x.png", "x.png"),
        ("a\n\x1b[1m.wav", "a[1m.wav"),
        (None, ""),
        ("/", ""),
    ],
)
def test_only_the_last_part_of_a_name_is_kept(given, kept):
    assert display_name(given) == kept
    assert len(display_name("x" * 300)) == 80
