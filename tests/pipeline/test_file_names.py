"""Sentences name files as people do."""

import pytest

from sadtalker_ext.pipeline.file_names import display_name, with_display_names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The voice {} is silent", "The voice a.wav is silent"),
        ("{} is no sound. The file {} too", "The voice a.wav is no sound. The voice a.wav too"),
        ("leave out the reference {} or not", "leave out the voice a.wav or not"),
        ("leave out {}", "leave out the voice a.wav"),
        ("nothing to name", "nothing to name"),
    ],
)
def test_a_path_becomes_a_name(tmp_path, text, told):
    path = tmp_path / "sadtalker_job_x" / "voice.wav"
    assert with_display_names(text.format(path, path), {path: "the voice a.wav"}) == told


def test_a_link_and_what_it_leads_to_have_one_name(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    names = {tmp_path / "link" / "a": r"the voice \1.wav"}
    assert with_display_names(f"{tmp_path / 'real' / 'a'} is empty", names) == r"The voice \1.wav is empty"


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
