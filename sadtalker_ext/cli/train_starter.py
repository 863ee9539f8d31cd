"""Commands of ``sadtalker train`` for the starter engine: its corpus and its networks."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.train_flags import (
    ACCELERATE,
    add_run_flags,
    code_version,
    plan_from_options,
    print_weights,
    require_positive,
    show_progress,
)
from sadtalker_ext.constants import LIP_VIDEO_S
from sadtalker_ext.system.path_problems import require_folder

log = logging.getLogger(__name__)


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add the commands of the starter engine to those of ``train``."""
    corpus = recipes.add_parser(
        "corpus", help="starter: synthesise and augment speech with phone labels",
        description="Synthesise speech with phone labels, augment it, and compute its features.",
    )  # fmt: skip
    corpus.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for shards and features")
    corpus.add_argument("--hours", type=float, default=12.0, help="hours of speech before augmentation (default 12)")
    corpus.add_argument("--rounds", type=int, default=2, help="number of augmented versions of the speech (default 2)")
    corpus.add_argument(
        "--recordings", type=Path, metavar="DIR",
        help="folder of additional English recordings with transcripts (NAME.txt beside NAME.wav)",
    )
    corpus.add_argument("--processes", type=int, default=1, help="number of parallel processes (default 1)")
    corpus.set_defaults(run=_corpus)
    expression = recipes.add_parser(
        "speech_to_expression", help="starter: speech to lip shapes, from a corpus", epilog=ACCELERATE,
        description="Train the network that predicts lip shapes from speech, on the output of train corpus.",
    )  # fmt: skip
    expression.add_argument("--data", type=Path, required=True, metavar="DIR", help="output folder of train corpus")
    expression.add_argument("--all-voices", action="store_true", help="train on the held-out voices as well")
    expression.add_argument(
        "--start-from", type=Path, metavar="FILE", help="file with the initial weights (default: random weights)"
    )
    expression.set_defaults(run=_speech_to_expression)
    pose_cvae = recipes.add_parser(
        "pose_cvae", help="starter: speech prosody to head motion", epilog=ACCELERATE,
        description="Train the network that generates head motion from the prosody of speech.",
    )  # fmt: skip
    pose_cvae.set_defaults(run=_pose_cvae)
    for parser in (expression, pose_cvae):
        add_run_flags(parser)
    _add_lip_motion(recipes)
    _add_voice_detector(recipes)
    _add_mouth_cover(recipes)


def _add_lip_motion(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    lips = recipes.add_parser(
        "lip_motion", help="starter: speech to opening and width of the mouth, from videos of talking people",
        description="Fit the map from speech to opening and width of the mouth to videos of at least five people, and "
        "measure it on speakers that are left out. Sound and picture may be up to 0.12 s apart. Check the videos with "
        "sadtalker train check first. The same command resumes an interrupted run.",
    )  # fmt: skip
    _add_folders(lips, "folders of videos, or folders with lips.json and sound files (see the training guide)")
    lips.add_argument(
        "--seconds", type=float, default=LIP_VIDEO_S,
        help=f"length from the start of each video that is used (default {LIP_VIDEO_S:g})",
    )  # fmt: skip
    lips.set_defaults(run=_lip_motion)


def _add_voice_detector(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    voices = recipes.add_parser(
        "voice_detector", help="starter: whether a sound is a voice, from recorded voices and synthetic other sounds",
        description="Fit the detector that keeps the mouth closed in music and noise to at least five recorded voices, "
        "and measure it on voices and kinds of sounds that are left out.",
    )  # fmt: skip
    _add_folders(voices, "folders of recorded voices")
    voices.set_defaults(run=_voice_detector, when_stopped="stopped")


def _add_mouth_cover(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    covers = recipes.add_parser(
        "mouth_cover", help="faces: whether something covers a part of the mouth, from portraits",
        description="Train the network that finds hands, microphones, cloth and masks in front of the mouth. Covers "
        "are drawn over at least five portraits whose mouths are free; some of them are left out to measure it.",
    )  # fmt: skip
    _add_folders(covers, "folders of portraits")
    covers.set_defaults(run=_mouth_cover, when_stopped="stopped")


def _add_folders(parser: argparse.ArgumentParser, data: str) -> None:
    """Add the flags of a recipe that fits weights to folders of files; ``data`` says which files."""
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help=data)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for weights and report")


def _corpus(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.corpus.build import build_corpus
    from sadtalker_ext.training.corpus.recordings import build_recordings
    from sadtalker_ext.training.starter.speech_features import build_features

    show_progress()
    for name, value in (("--hours", options.hours), ("--rounds", options.rounds), ("--processes", options.processes)):
        require_positive(name, value)
    if options.recordings is not None:
        build_recordings(options.recordings, options.out / "shards", options.processes)
    build_corpus(options.out / "shards", options.hours, options.processes)
    build_features(options.out / "shards", options.out / "features", options.rounds, options.processes)
    log.info("Next: sadtalker train speech_to_expression --data %s --out RUN", shlex.quote(str(options.out)))
    print(json.dumps({"features": str(options.out / "features")}))
    return 0


def _print_weights(path: Path) -> None:
    print_weights(path, f"To use this network: sadtalker animate PORTRAIT VOICE --weights {shlex.quote(str(path))}")


def _speech_to_expression(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.speech_to_expression import (
        PLAN,
        SpeechToExpressionRecipe,
        train_speech_to_expression,
    )

    show_progress()
    require_folder(options.data, "use the output folder of train corpus")
    hold_out, start = not options.all_voices, options.start_from
    recipe = SpeechToExpressionRecipe(options.data / "features", hold_out=hold_out, start=start)
    path = train_speech_to_expression(recipe, options.out, plan_from_options(PLAN, options), code_version())
    _print_weights(path)
    return 0


def _lip_motion(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.lip_motion import train_lip_motion
    from sadtalker_ext.training.starter.lip_tracking import collect_recordings

    show_progress()
    require_positive("--seconds", options.seconds)
    recordings = collect_recordings(options.data, options.out, options.seconds)
    _print_weights(train_lip_motion(recordings, options.out, commit=code_version()))
    return 0


def _voice_detector(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.voice_detector import sound_files, train_voice_detector

    show_progress()
    path = train_voice_detector(sound_files(options.data), options.out, commit=code_version())
    _print_weights(path)
    return 0


def _mouth_cover(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.mouth_cover import picture_files, train_mouth_cover

    show_progress()
    path = train_mouth_cover(picture_files(options.data), options.out, commit=code_version())
    _print_weights(path)
    return 0


def _pose_cvae(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.pose_cvae import PLAN, train_pose_cvae

    show_progress()
    _print_weights(train_pose_cvae(options.out, plan_from_options(PLAN, options), code_version()))
    return 0
