"""Error messages of the REST API name files as the sender does and contain no folder of the server."""

from pathlib import Path

from sadtalker_ext.api.sender_names import SenderNames
from sadtalker_ext.errors import FileRef, MediaError


def test_files_of_the_request_have_their_names_and_other_files_no_folder(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    names = SenderNames({tmp_path / "voice.wav": "my song.wav", tmp_path / "video.mp4": ""})
    messages = {
        tmp_path / "voice.wav": "The file my song.wav is damaged",
        link / "voice.wav": "The file my song.wav is damaged",
        tmp_path / "video.mp4": "The file is damaged",
        Path("/server/checkpoints/model.pth"): "The file model.pth is damaged",
    }
    for path, message in messages.items():
        assert MediaError("The ", FileRef("file", path), " is damaged").describe(names) == message
    assert (len(names), set(names)) == (2, {(tmp_path / name).resolve() for name in ("voice.wav", "video.mp4")})
