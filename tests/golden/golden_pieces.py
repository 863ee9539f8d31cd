"""Results of the pure functions for the inputs of the goldens, as full tensors by golden name."""

import random
import re
from pathlib import Path

import numpy as np
import torch
from golden_tools import given_normal, given_uniform

from sadtalker_ext.audio.mel import mel_basis, mel_spectrogram
from sadtalker_ext.audio.windows import mel_windows
from sadtalker_ext.constants import SAMPLES_PER_FRAME
from sadtalker_ext.engines.sadtalker import coefficients
from sadtalker_ext.engines.sadtalker.inference import source_tensor, to_pixels
from sadtalker_ext.geometry import crop
from sadtalker_ext.geometry import five_point_alignment as align5


def test_picture(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    blue = ((x // 8 + y // 8) % 2) * 200
    return np.stack((x * 255 // (width - 1), y * 255 // (height - 1), blue), axis=-1).astype(np.uint8)


test_picture.__test__ = False


def align(golden):
    sizes = {match[1]: (int(match[2]), int(match[3])) for match in re.finditer(r"(\w+) (\d+)x(\d+)", golden.meta["in"])}
    out = {"lm3d_std": align5.STANDARD_POINTS}
    for case, (width, height) in sizes.items():
        points = align5.flip_y(golden.stored[f"{case}.lm68_in"], height)
        five = align5.five_points(points)
        transform = align5.align_transform(points, width, height)
        scale, origin = align5.fit_weak_perspective(five, align5.STANDARD_POINTS)
        out |= {
            f"{case}.lm68_in": golden.stored[f"{case}.lm68_in"],
            f"{case}.lm5p": five,
            f"{case}.pos_t": origin,
            f"{case}.pos_s": np.array([scale]),
            f"{case}.trans_params": np.array(transform),
            f"{case}.trans_params_from5": np.array(align5.align_transform(five, width, height)),
            f"{case}.img224": align5.align_picture(test_picture(width, height), transform),
            f"{case}.lm_new": aligned_points(points, transform),
        }
    return out


def aligned_points(points, transform):
    """Return the points (N, 2), y up, in the aligned picture; the package itself aligns only the picture."""
    centre = np.array([transform.x_px - transform.width_px / 2, transform.y_px - transform.height_px / 2])
    corner = (np.array(transform.resized_px) - align5.ALIGNED_SIZE_PX) / 2
    return (points - centre) * transform.scale - corner


def face_crop(golden):
    out = {}
    for case, facts in golden.meta["table"].items():
        landmarks = golden.stored[f"{case}.lm68"]
        found = crop.crop_head(landmarks, *facts["WH"], crop.OFFICIAL_RULES)
        inner = found.inner
        assert [inner.left, inner.right, inner.top, inner.bottom] == facts["ox1ox2oy1oy2"], case
        assert [inner.width, inner.height] == facts["original_size_crop_info0"], case
        out |= {
            f"{case}.lm68": landmarks,
            f"{case}.crop": np.array(found.outer),
            f"{case}.quad": np.array(found.inner_edges),
            f"{case}.rsize": np.array(found.picture_px),
        }
    return out


def blink(golden):
    out = {}
    for name, facts in golden.stats.items():
        if match := re.fullmatch(r"blink\.seed(\d+)\.n(\d+)", name):
            out[name] = coefficients.random_blinks(int(match[2]), random.Random(int(match[1])))[:, 0]
        elif name in ("eyeblink.ratio", "idle.ratio", "idle.mel_absmax"):
            out[name] = np.zeros(facts["shape"], dtype=np.float32)
        elif name == "eyeblink.ref":
            frames = facts["shape"][1]
            first = np.float32(0.3) * given_normal("first_coeff", 1, 73)
            eyes = np.float32(0.3) * given_normal("eyeblink_coeff", 20, 73)
            reference = np.repeat(first[:, :70], frames, axis=0)
            reference[:, coefficients.EXPRESSION] = coefficients.loop_to_length(eyes[:, :64], frames)
            out[name] = reference[None]
    return out


def stretched_picture():
    import cv2

    noise = np.round(255 * given_uniform("pic", 512, 512, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 6).astype(np.float32)
    return ((soft - soft.min()) / (soft.max() - soft.min()) * 255).astype(np.uint8)


def in_lanes(rows, lanes):
    """Pad with copies of the last row to a multiple of ``lanes`` and give each lane a run of frames."""
    missing = -len(rows) % lanes
    return np.concatenate((rows, np.repeat(rows[-1:], missing, axis=0))).reshape(lanes, -1, *rows.shape[1:])


CAMERA = {
    "ypr_b4.yaw_c_seq": [-20, 30, 10],
    "ypr_b4.pitch_c_seq": [10],
    "ypr_b4.roll_c_seq": [0, 10, -5],
    "yaw_up.yaw_c_seq": [0, 45],
}
"""Keyframes in degrees that the descriptions omit, inferred from the stored numbers."""


def facerender_data(golden):
    pic = stretched_picture()
    out = {
        "pic_u8_strided": pic[::16, ::16],
        "source_image": source_tensor(pic, 256).expand(2, -1, -1, -1),
        "u8_of_linspace01_1025": to_pixels(torch.linspace(0, 1, 1025, dtype=torch.float64).reshape(1, 1025, 1)).reshape(
            -1
        ),
    }
    source = np.float32(0.3) * given_normal("first_coeff", 1, 73)
    generated = np.float32(0.3) * given_normal("gen_coeff", 11, 70)
    for name in golden.stats:
        case, _, what = name.partition(".")
        if name.endswith("_semantics"):
            case, _, what = name.rpartition(".")
            out[name] = semantics(case, what, source[0], generated)
        elif name.endswith("_c_seq") or case == "cam":
            out[name] = camera(golden, name)
    return out


def semantics(case, what, source, generated):
    source = source if "full" in case else source[:70]
    if what == "source_semantics":
        return coefficients.still_window(source)
    scale = {"extfull_still_s1.3": 1.3, "crop_exp2": 2.0}.get(case, 1.0)
    generated = generated.copy()
    generated[:, coefficients.EXPRESSION] *= np.float32(scale)
    driven = coefficients.drive_coefficients(generated, source)
    if "still" in case:
        driven[:, coefficients.POSE] = source[coefficients.POSE]
    return in_lanes(coefficients.coefficient_windows(driven, range(11)), 4 if "b4" in case else 2)


def camera(golden, name):
    text = golden.meta["cam"].get(name.removeprefix("cam."))
    if text:
        numbers = [int(number) for number in re.findall(r"-?\d+", text)]
        keyframes, (frames, lanes) = numbers[:-2], numbers[-2:]
    else:
        lanes, frames, keyframes = golden.stats[name]["shape"][0], 11, CAMERA[name]
    return in_lanes(coefficients.official_free_view(keyframes, frames), lanes)


SPEECH = Path(__file__).resolve().parents[3] / "shared" / "speech" / "bus_chinese.flac"
LENGTHS = (0, 639, 640, 641, 1279, 1280, 16000, 31999, 32000, 54015, 100001)
"""Sample counts of the ``pcl`` table."""


def whole_frames(samples):
    """Return the video frames that the official code makes from ``samples``, without a partial last frame."""
    return samples // SAMPLES_PER_FRAME


def mel(golden):
    times_s = np.arange(32000) / 16000
    sweep = 0.5 * np.sin(2 * np.pi * (80 * times_s + 0.5 * (6000 - 80) / 2 * times_s * times_s))
    wave = np.float32(sweep + 0.05 * given_normal("wave.noise", 32000))
    spectrum = mel_spectrogram(wave)
    out = {
        "wave_first64": wave[:64],
        "pcl": np.array([(whole_frames(length) * SAMPLES_PER_FRAME, whole_frames(length)) for length in LENGTHS]),
        "mel_synth": spectrum,
        "mel_basis": mel_basis(),
        "indiv_mels_synth": mel_windows(spectrum, range(50))[None],
    }
    if SPEECH.exists():
        import librosa

        spoken = librosa.load(SPEECH, sr=16000, res_type="soxr_hq")[0]
        out |= {
            "bus.wave_soxr": spoken,
            "bus.mel_soxr": mel_spectrogram(spoken[: whole_frames(len(spoken)) * SAMPLES_PER_FRAME]),
        }
    return out


COMPUTE = {"mel": mel, "align": align, "crop": face_crop, "blink": blink, "facerender_data": facerender_data}
