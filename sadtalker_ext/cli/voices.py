"""Command ``sadtalker voices``: lists the voices that read text aloud."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sadtalker_ext.errors import MissingPackageError


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "voices", help="list the voices that read text aloud", allow_abbrev=False,
        description="List the voices for --tts-voice, the default first. Neural voices of Piper are found in the "
        "checkpoint folders (NAME.onnx with NAME.onnx.json) and in installed packages; espeak-ng has a synthetic voice "
        "for each of more than a hundred languages.",
    )  # fmt: skip
    parser.add_argument(
        "language", nargs="?", default="", help="show only languages that start with this code, such as en"
    )
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="folder searched first for voices; can be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print the voices as a JSON array")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one line per voice: name, language, provider and description."""
    from sadtalker_ext.tts.voices import NO_VOICE, list_voices
    from sadtalker_ext.weights.files import search_folders

    installed = list_voices(search_folders(options.folder))
    if not installed and not options.json:
        raise MissingPackageError(NO_VOICE)
    voices = [voice for voice in installed if voice.language.startswith(options.language)]
    if options.json:
        fields = ("name", "language", "provider", "label")
        print(json.dumps([{field: getattr(voice, field) for field in fields} for voice in voices]))
        return 0
    width = max((len(voice.name) for voice in voices), default=0)
    for voice in voices:
        print(f"{voice.name:{width}}  {voice.language:14}  {voice.provider}, {voice.label}")
    if not voices:
        print(f"No voice has a language that starts with {options.language}")
    return 0
