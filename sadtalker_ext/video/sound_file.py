"""Writing of WAV files with the sound of a voice, as long as the video or animation beside it."""

from __future__ import annotations

from pathlib import Path

from sadtalker_ext.constants import REPAIR_FILTER
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_argument, file_input, require_file
from sadtalker_ext.video.audio_track import FLOAT_CODECS
from sadtalker_ext.video.read import probe


def write_wav(source: Path, target: FileRef, file: Path, duration_s: float) -> None:
    """Write the first audio stream of ``source`` to ``file`` as 16-bit PCM, cut or padded to ``duration_s``.

    Sample rate and channels are kept; timestamps are ignored, as in the video. target: the name in messages.
    """
    stream = probe(require_file(source, "voice"), "voice").audio
    if stream is None:
        raise MediaError("The ", FileRef("voice", source), " has no audio: choose an audio file or a video with audio")
    repair = f"{REPAIR_FILTER}," if stream.codec.startswith(FLOAT_CODECS) else ""
    filters = f"{repair}asetpts=N/SR/TB,apad,atrim=end={duration_s:.6f}"
    output = ["-map", "0:a:0", "-af", filters, "-c:a", "pcm_s16le", "-map_metadata", "-1", "-f", "wav"]
    arguments = ["-v", "error", "-y", "-vn", *file_input(source), *output, file_argument(file)]
    with Ffmpeg(arguments, ("Writing the ", target), output=file) as process:
        process.stdout.read()
        if process.finish() != 0:
            raise MediaError(
                "The ", target, f" cannot be written (ffmpeg: {process.last_message()}): check the voice and the folder"
            )
