"""Reading of goldens: pairs of values and descriptions, views into large tensors, inputs generated from names."""

import ast
import json
import operator
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from sadtalker_ext.weights.random_weights import normal, uniform

DEFAULT_PREFIX = "in."
FOLDER = Path(os.environ.get("SADTALKER_GOLDEN_DIR") or Path(__file__).parent)
PREFIX = os.environ.get("SADTALKER_GOLDEN_INPUT_PREFIX") or DEFAULT_PREFIX


EXACT = {"crop": 1e-9, "blink": 1e-6, "mel": 1e-4}
"""Absolute tolerances of goldens that are not outputs of networks."""
DEEP = {"generator_512", "animation_256"}
NOT_COMPUTED = {"face_detect": "RetinaFace and FAN are not part of this package; see sadtalker_ext/faces"}
"""Goldens of functions that this package does not have, with the reason."""
NOT_COMPUTED_IN = {
    "mel": {
        "wave_stats": "sums of the input",
        "crop_pad_len": "audio is not padded",
        "mel_synth_reflect_first8_last8": "padding of librosa 0.8; the official requirements pin 0.9",
        "bus.wave_kaiser": "a different resampler",
        "bus.mel_kaiser": "a different resampler",
    },
    "blink": {
        f"blink_fixed.n{frames}": "blinks at fixed intervals are not used"
        for frames in (10, 20, 21, 50, 141, 300, 1000)
    },
}
"""Recorded arrays, by golden, of functions that this package does not have, with the reason.

Other arrays of such functions (``mel.pcl``, ``align.*.lm_new``, ``blink.idle.*``) are computed in golden_pieces.py.
"""


@dataclass(frozen=True)
class Golden:
    """A recorded pair. stored: slices of tensors. stats: statistics of the full tensors. meta: origin of the values."""

    name: str
    stored: dict
    stats: dict
    meta: dict

    def tolerance(self, name):
        """Return the absolute tolerance of the tensor ``name``."""
        absmax = self.stats[name]["absmax"]
        if self.name in EXACT:
            return EXACT[self.name]
        if self.name in DEEP:
            return 1e-3 * max(1.0, absmax)
        if name.startswith("prediction"):
            return 1e-4
        if name.endswith("img224"):
            return 1.0
        return 1e-4 * absmax


def read_goldens(folder=FOLDER):
    goldens = {}
    for path in sorted(Path(folder).glob("*.json")):
        numbers = path.with_suffix(".safetensors")
        if numbers.is_file():
            text = json.loads(path.read_text(encoding="utf-8"))
            goldens[path.stem] = Golden(path.stem, load_file(numbers), text["stats"], text["meta"])
    return goldens


def input_name(rest):
    """Return the name of an input: the prefix of the set and ``rest``."""
    return PREFIX + rest


def given_normal(rest, *shape):
    return normal(input_name(rest), shape)


def given_uniform(rest, *shape):
    return uniform(input_name(rest), shape)


def view(tensor, text):
    """Apply a stored slice such as ``[:, ::5, 96:128]`` or ``[:, [0, 1, 24]]`` without evaluating code."""
    if text == "full":
        return tensor
    index = []
    for part in re.findall(r"\[[^\[\]]*\]|[^,\[\]\s]+", text.strip()[1:-1]):
        if part.startswith("["):
            index.append([int(number) for number in part.strip("[]").split(",")])
        else:
            index.append(slice(*(int(number) if number else None for number in part.split(":"))))
    return tensor[tuple(index)]


ASSIGNMENT = re.compile(r"(?:^|\s|,)\s*([A-Za-z_]\w*)\s*=\s*([^=]+?)(?=\s*,\s*[A-Za-z_]\w*\s*=|$)")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def parse_inputs(description):
    """Return the named inputs of a description: ``name=formula; ...`` with normal, uniform, clip, numbers and lists.

    Parts that are not formulas are skipped.
    """
    names = {}
    for part in re.split(r";\s*", description):
        for name, formula in ASSIGNMENT.findall(part):
            value = longest_formula(formula, names)
            if value is not None:
                names[name] = value
    return names


def longest_formula(text, names):
    """Return the value of the longest prefix of ``text`` that is a formula, or None; other text may follow it."""
    for end in range(len(text), 0, -1):
        if end < len(text) and text[end - 1] not in ")]0123456789":
            continue
        try:
            return evaluate(text[:end], names)
        except (SyntaxError, KeyError, TypeError, ValueError):
            continue
    return None


def evaluate(formula, names):
    quoted = re.sub(rf"\b(?:{re.escape(PREFIX)}|in\.)([\w.]+)", r"'\1'", formula)
    return _value(ast.parse(quoted.strip(), mode="eval").body, names)


def _value(node, names):
    if isinstance(node, ast.Constant | ast.Name):
        return node.value if isinstance(node, ast.Constant) else names[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, names) for item in node.elts]
    if isinstance(node, ast.UnaryOp):
        return -np.asarray(_value(node.operand, names))
    if isinstance(node, ast.Call):
        return _call(node, names)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, names), _value(node.right, names)
        left, right = (np.float32(side) if isinstance(side, float | int) else side for side in (left, right))
        return OPERATORS[type(node.op)](left, right)
    raise ValueError(ast.dump(node))


def _call(node, names):
    arguments = [_value(item, names) for item in node.args]
    if node.func.id == "clip":
        return np.clip(*arguments)
    return {"normal": normal, "uniform": uniform}[node.func.id](input_name(arguments[0]), tuple(arguments[1]))
