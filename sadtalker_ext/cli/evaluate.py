"""``sadtalker evaluate``: figures for a finished video, or for what the engine makes of voices."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.cli.progress import ProgressLine
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, runtime_of, settings_of
from sadtalker_ext.errors import MediaError, SettingsError

if TYPE_CHECKING:
    from sadtalker_ext.metrics.report import Metric
    from sadtalker_ext.pipeline.evaluate_video import LipClip

EXAMPLES = """examples:
  sadtalker evaluate talking.mp4
  sadtalker evaluate talking.mp4 --reference original.mp4
  sadtalker evaluate talking.mp4 --lips lips.json --clip anna
  sadtalker evaluate --lips lips.json
  sadtalker evaluate --lips lips.json --render --still
"""
SOUND_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".webm")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "evaluate", help="measure a result", allow_abbrev=False, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure lips, head motion and pictures: of a finished video, or of what the engine makes of "
        "voices whose speakers were measured.",
    )  # fmt: skip
    parser.add_argument("result", nargs="?", type=Path, metavar="RESULT.mp4", help="a finished video to measure")
    parser.add_argument("--reference", type=Path, metavar="VIDEO", help="compare pictures with this video")
    parser.add_argument(
        "--lips", type=Path, metavar="FILE",
        help="lips of measured speakers: JSON of name -> fps, openness and width per frame",
    )  # fmt: skip
    parser.add_argument("--clip", action="append", metavar="NAME", help="only this clip of --lips; may be repeated")
    parser.add_argument(
        "--voice", action="append", type=Path, metavar="SOUND",
        help="a voice to predict motion for; may be repeated (default: sounds beside --lips with the clips' names)",
    )  # fmt: skip
    parser.add_argument("--render", action="store_true", help="make the videos and measure these, not the prediction")
    parser.add_argument("--portrait", type=Path, metavar="PICTURE", help="who speaks with --render (default: demo)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the videos of --render here")
    parser.add_argument("--fid-network", type=Path, metavar="FILE", help="TorchScript Inception features, for FID")
    parser.add_argument("--csim-network", type=Path, metavar="FILE", help="TorchScript identity features, for CSIM")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure what was asked for and print it."""
    check_options(options)
    from sadtalker_ext.metrics.report import to_json, to_table

    if options.result is not None:
        report = {options.result.name: measure_result(options)}
    elif options.render:
        report = measure_rendered(options)
    else:
        report = measure_predicted(options)
    print(to_json(report) if options.json else to_table(report))
    return 0


def check_options(options: argparse.Namespace) -> None:
    """Refuse combinations that mean nothing, before any work."""
    if options.result is None and options.lips is None and not options.voice:
        raise SettingsError("nothing to measure: name a finished video, or voices with --lips or --voice")
    if options.result is not None and options.render:
        raise SettingsError(f"--render makes its own videos; leave out {options.result}, or --render")
    if options.clip and options.lips is None:
        raise SettingsError(f"--clip {options.clip[0]} is a clip of a lips file; name that with --lips")
    if (options.fid_network or options.csim_network) and (options.reference is None or options.result is None):
        raise SettingsError("FID and CSIM compare a finished video with another; name both, RESULT.mp4 and --reference")


def measure_result(options: argparse.Namespace) -> list[Metric]:
    """Figures of a finished video."""
    from sadtalker_ext.pipeline.evaluate_video import choose_clip, network_figures, read_lip_clips, video_figures

    clip: LipClip | None = None
    if options.lips is not None:
        clips = read_lip_clips(options.lips)
        names = options.clip or [options.result.stem]
        clip = choose_clip(clips, names[0])
    figures = video_figures(options.result, options.reference, clip)
    if options.reference is not None:
        figures += network_figures(options.result, options.reference, options.fid_network, options.csim_network)
    return figures


def measure_predicted(options: argparse.Namespace) -> dict[str, list[Metric]]:
    """Figures of the predicted motion for each voice, and how far the mouth opens where nobody speaks."""
    settings, runtime = settings_of(options), runtime_of(options)
    from sadtalker_ext.engines.motion_editing import motion_style
    from sadtalker_ext.engines.session import open_engine
    from sadtalker_ext.metrics.report import Metric
    from sadtalker_ext.pipeline.evaluate_engine import predict_figures, write_quiet_sounds

    report, openings = {}, []
    with open_engine(settings=settings, runtime=runtime) as opened, tempfile.TemporaryDirectory() as folder:
        engine, style = opened.engine, motion_style(opened.engine.spec, settings)
        for name, voice, clip in voices_of(options):
            prediction = predict_figures(engine, voice, style, clip)
            report[name] = prediction.figures
            openings.append(prediction.opening_mean)
        for name, voice in write_quiet_sounds(Path(folder)).items():
            opening = predict_figures(engine, voice, style, None).opening_mean
            share = 100.0 * opening / max(sum(openings) / len(openings), 1e-9)
            meaning = "mean mouth opening where nobody speaks, relative to the voices"
            report[name] = [Metric("opening_unvoiced", share, "%", "lower", meaning)]
    return report


def measure_rendered(options: argparse.Namespace) -> dict[str, list[Metric]]:
    """Figures of the video made from each voice, tracked by a model that had no part in it."""
    settings, runtime = settings_of(options), runtime_of(options)
    from sadtalker_ext.cli.demo import demo_portrait
    from sadtalker_ext.pipeline.animate import animate
    from sadtalker_ext.pipeline.evaluate_video import video_figures
    from sadtalker_ext.pipeline.progress import Watcher

    portrait = options.portrait or demo_portrait()
    report = {}
    with tempfile.TemporaryDirectory() as folder, ProgressLine(quiet=options.quiet) as line:
        for name, voice, clip in voices_of(options):
            video = (options.keep or Path(folder)) / f"{name}.mp4"
            animate(portrait, voice, video, settings, runtime, Watcher(line.report))
            report[name] = video_figures(video, None, clip)
    return report


def voices_of(options: argparse.Namespace) -> list[tuple[str, Path, LipClip | None]]:
    """Name, sound and measured lips of each voice; a voice belongs to the clip that bears its file's name."""
    from sadtalker_ext.pipeline.evaluate_video import choose_clip, read_lip_clips

    clips = read_lip_clips(options.lips) if options.lips is not None else {}
    wanted = options.clip or list(clips)
    if options.voice:
        given = [(voice.stem, voice) for voice in options.voice]
        return [(name, voice, clips.get(name)) for name, voice in given]
    return [(name, sound_beside(options.lips, name), choose_clip(clips, name)) for name in wanted]


def sound_beside(lips: Path, name: str) -> Path:
    """The sound file with a clip's name in the folder of the lips file."""
    found = [lips.parent / f"{name}{ending}" for ending in SOUND_ENDINGS]
    for path in found:
        if path.is_file():
            return path
    raise MediaError(f"there is no sound named {name} beside {lips}; put {found[0].name} there, or use --voice")
