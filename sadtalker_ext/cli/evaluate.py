"""Command ``sadtalker evaluate``: metrics of a finished video, or of the motion that an engine predicts for voices."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.cli.evaluate_measures import add_flags, check_measures, list_pairs, open_networks
from sadtalker_ext.cli.progress import ProgressLine
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, read_runtime, read_settings
from sadtalker_ext.errors import FaceError, FileRef, MediaError, SadTalkerError, SettingsError
from sadtalker_ext.system.optional_package import require_package
from sadtalker_ext.weights.measure_files import FID

if TYPE_CHECKING:
    from sadtalker_ext.cli.evaluate_measures import VideoPair
    from sadtalker_ext.metrics.report import Metric
    from sadtalker_ext.pipeline.evaluate_networks import MeasureNetworks, PairFeatures
    from sadtalker_ext.pipeline.evaluate_video import LipClip

EXAMPLES: Final = """examples:
  sadtalker evaluate talking.mp4
  sadtalker evaluate talking.mp4 --reference original.mp4
  sadtalker evaluate talking.mp4 --measure lse --measure csim --portrait me.jpg
  sadtalker evaluate results/ --reference originals/ --measure all --every 1
  sadtalker evaluate talking.mp4 --lips lips.json --clip anna
  sadtalker evaluate --lips lips.json
  sadtalker evaluate --lips lips.json --render --still
  sadtalker evaluate --reenact speaker.mp4
"""
POOLED: Final = "all frames"
"""Name of the column of measures over the frames of all videos of a folder."""
AUDIO_SUFFIXES: Final = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".webm")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "evaluate", help="measure lip sync, head motion and picture quality", allow_abbrev=False, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure lip sync, head motion, liveliness and picture quality of a finished video, or of the "
        "motion that an engine predicts for voices. Lips in silence are measured if the package silero-vad is "
        "installed (pip install --no-deps silero-vad==5.1.2).",
    )  # fmt: skip
    parser.add_argument(
        "result", nargs="?", type=Path, metavar="RESULT", help="a finished video to measure, or a folder of videos"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="VIDEO",
        help="original video to compare the pictures with, or a folder of originals with the names of the results",
    )  # fmt: skip
    parser.add_argument(
        "--reenact", action="append", type=Path, metavar="VIDEO",
        help="animate the first frame of a video with the motion of the others and compare each frame with the real "
        "one; can be repeated",
    )  # fmt: skip
    _add_voice_flags(parser)
    add_flags(parser)
    parser.add_argument("--json", action="store_true", help="print the metrics as a JSON object")
    parser.add_argument("--quiet", action="store_true", help="do not show progress")
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run)


def _add_voice_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select voices and the measured lips of their speakers."""
    parser.add_argument(
        "--lips", type=Path, metavar="FILE",
        help="measured lips of real speakers: JSON of name -> fps, openness and width per frame",
    )  # fmt: skip
    parser.add_argument("--clip", action="append", metavar="NAME", help="name of a clip of --lips; can be repeated")
    parser.add_argument(
        "--voice", action="append", type=Path, metavar="AUDIO",
        help="voice to predict motion for; can be repeated (default: audio files beside --lips, named like the clips)",
    )  # fmt: skip
    parser.add_argument("--render", action="store_true", help="render videos and measure these, not predictions")
    parser.add_argument(
        "--portrait", type=Path, metavar="PICTURE",
        help="portrait for --render (default: the demo portrait), or the source picture for --measure csim",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="folder in which the videos of --render are kept")


def run(options: argparse.Namespace) -> int:
    """Measure and print the metrics; return 2 if some videos of a folder could not be measured."""
    check_options(options)
    from sadtalker_ext.metrics.report import to_json, to_table

    failed: dict[str, str] = {}
    if options.reenact:
        report = measure_reenacted(options)
    elif options.result is not None:
        report = measure_results(options, failed)
    elif options.render:
        report = measure_rendered(options)
    else:
        report = measure_predicted(options)
    print(to_json(report, failed) if options.json else to_table(report))
    for name, message in failed.items():
        sys.stderr.write(f"sadtalker: {name} was left out: {message}\n")
    return 2 if failed else 0


def check_options(options: argparse.Namespace) -> None:
    """Raise SettingsError for unsupported combinations of flags, MissingPackageError if a package is missing."""
    if options.result is None and options.lips is None and not options.voice and not options.reenact:
        raise SettingsError("There is nothing to measure; name a finished video, or voices with --lips or --voice")
    if options.reenact and (options.result is not None or options.lips is not None or options.voice):
        raise SettingsError(
            "The flag --reenact makes its own videos from ", FileRef("video", options.reenact[0]),
            "; omit RESULT, --lips and --voice",
        )  # fmt: skip
    if options.result is not None and options.render:
        raise SettingsError(
            "The flag --render makes its own videos, so ", FileRef("video", options.result),
            " is not used; omit one of them",
        )  # fmt: skip
    if options.clip and options.lips is None:
        raise SettingsError(f"The flag --clip {options.clip[0]} needs a lips file; name it with --lips")
    check_measures(options)
    if options.result is not None or options.render or options.reenact:
        require_package("skimage", "scikit-image", "The measurement of picture quality")


def measure_results(options: argparse.Namespace, failed: dict[str, str]) -> dict[str, list[Metric]]:
    """Return the metrics of a finished video, or of all in a folder.

    failed: filled with the messages of videos of a folder that cannot be measured; if all cannot, the first is raised.
    """
    from sadtalker_ext.pipeline.evaluate_networks import PairFeatures

    pairs, networks, features = list_pairs(options.result, options.reference), open_networks(options), PairFeatures()
    report: dict[str, list[Metric]] = {}
    errors: list[SadTalkerError] = []
    for name, pair in pairs.items():
        try:
            report[name] = measure_pair(options, pair, networks, features)
        except (MediaError, FaceError) as error:
            failed[name] = str(error)
            errors.append(error)
    if not report:
        raise errors[0]
    if features.results:
        (report[name] if len(pairs) == 1 else report.setdefault(POOLED, [])).extend(features.metrics())
    return report


def measure_pair(
    options: argparse.Namespace, pair: VideoPair, networks: MeasureNetworks, features: PairFeatures
) -> list[Metric]:
    """Return the metrics of a video; its frames are added to ``features`` if FID is measured."""
    from sadtalker_ext.pipeline.evaluate_video import choose_clip, read_lip_clips, video_metrics

    clip: LipClip | None = None
    if options.lips is not None:
        names = options.clip or [pair.result.stem]
        clip = choose_clip(read_lip_clips(options.lips), names[0])
    metrics = video_metrics(pair.result, pair.reference, clip, options.every)
    metrics += networks.clip_metrics(pair.result, options.portrait or pair.reference)
    if pair.reference is not None and networks.wants(FID.measure):
        networks.add_features(features, pair.result, pair.reference)
    return metrics


def measure_predicted(options: argparse.Namespace) -> dict[str, list[Metric]]:
    """Return the metrics of the motion predicted for each voice, and the mouth opening for sound without speech."""
    settings, runtime = read_settings(options), read_runtime(options)
    from sadtalker_ext.engines.motion_editing import motion_style
    from sadtalker_ext.engines.session import open_engine
    from sadtalker_ext.metrics.report import Metric
    from sadtalker_ext.pipeline.evaluate_engine import prediction_metrics, write_non_speech

    report, openings = {}, []
    with open_engine(settings=settings, runtime=runtime) as opened, tempfile.TemporaryDirectory() as folder:
        engine, style = opened.engine, motion_style(opened.engine.spec, settings)
        for name, voice, clip in list_voices(options):
            prediction = prediction_metrics(engine, voice, style, clip)
            report[name] = prediction.metrics
            openings.append(prediction.opening_mean)
        for name, path in write_non_speech(Path(folder)).items():
            opening = prediction_metrics(engine, path, style, None).opening_mean
            share = 100.0 * opening / max(sum(openings) / len(openings), 1e-9)
            meaning = "mean mouth opening without speech, relative to the voices"
            report[name] = [Metric("opening_unvoiced", share, "%", "lower", meaning)]
    return report


def measure_rendered(options: argparse.Namespace) -> dict[str, list[Metric]]:
    """Return the metrics of the video rendered for each voice, measured by a tracker that no engine uses to render."""
    settings, runtime = read_settings(options), read_runtime(options)
    from sadtalker_ext.pipeline.animate import animate
    from sadtalker_ext.pipeline.evaluate_video import video_metrics
    from sadtalker_ext.pipeline.progress import Watcher

    portrait, networks = options.portrait or demo_portrait(), open_networks(options)
    report = {}
    with tempfile.TemporaryDirectory() as folder, ProgressLine(quiet=options.quiet) as line:
        for name, voice, clip in list_voices(options):
            video = (options.keep or Path(folder)) / f"{name}.mp4"
            animate(portrait, voice, video, settings, runtime, Watcher(line.report))
            report[name] = video_metrics(video, None, clip, options.every) + networks.clip_metrics(video, portrait)
    return report


def measure_reenacted(options: argparse.Namespace) -> dict[str, list[Metric]]:
    """Return the agreement of each reenacted video with the real one."""
    settings, runtime = read_settings(options), read_runtime(options)
    from sadtalker_ext.engines.session import open_engine
    from sadtalker_ext.ffmpeg import require_file
    from sadtalker_ext.pipeline.evaluate_reenact import reenactment_metrics
    from sadtalker_ext.pipeline.progress import Watcher

    videos = [require_file(path, "video") for path in options.reenact]
    report = {}
    with open_engine(settings=settings, runtime=runtime) as opened, ProgressLine(quiet=options.quiet) as line:
        for path in videos:
            report[path.stem] = reenactment_metrics(path, opened.engine, settings, Watcher(line.report))
    return report


def list_voices(options: argparse.Namespace) -> list[tuple[str, Path, LipClip | None]]:
    """Return name, audio file and measured lips of each voice; a voice belongs to the clip named like its file."""
    from sadtalker_ext.pipeline.evaluate_video import choose_clip, read_lip_clips

    clips = read_lip_clips(options.lips) if options.lips is not None else {}
    names = options.clip or list(clips)
    if options.voice:
        return [(voice.stem, voice, clips.get(voice.stem)) for voice in options.voice]
    return [(name, find_audio(options.lips, name), choose_clip(clips, name)) for name in names]


def find_audio(lips: Path, name: str) -> Path:
    """Return the audio file named like a clip in the folder of the lips file."""
    candidates = [lips.parent / f"{name}{suffix}" for suffix in AUDIO_SUFFIXES]
    for path in candidates:
        if path.is_file():
            return path
    raise MediaError(
        f"There is no audio file named {name} beside ", FileRef("lips file", lips),
        f"; put {candidates[0].name} there, or use --voice",
    )  # fmt: skip
