"""Writing of WAV files with the sound of a voice, as long as the video or animation beside it."""

from __future__ import annotations

from pathlib import Path

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_argument
from sadtalker_ext.sound_source import SoundSource
from sadtalker_ext.video.audio_track import sound_filters


def write_wav(sound: SoundSource, target: FileRef, file: Path, duration_s: float) -> None:
    """Write a sound to ``file`` as 16-bit PCM, cut or padded with silence to ``duration_s``.

    Sample rate and channels are kept, and timestamps are ignored, as in the video. target: the name in messages.
    """
    output = sound.output(0, sound_filters(sound, "voice"), f"apad,atrim=end={duration_s:.6f}")
    codec = ["-c:a", "pcm_s16le", "-map_metadata", "-1", "-f", "wav"]
    arguments = ["-v", "error", "-y", *sound.inputs(), *output, *codec, file_argument(file)]
    with Ffmpeg(arguments, ("Writing the ", target), output=file) as process:
        process.stdout.read()
        if process.finish() != 0:
            raise MediaError(
                "The ", target, f" cannot be written (ffmpeg: {process.last_message()}): check the voice and the folder"
            )
