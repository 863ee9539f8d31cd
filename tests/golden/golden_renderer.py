"""Outputs of our renderer for the inputs of the goldens, as full tensors by golden name."""

import contextlib
import functools

import numpy as np
import torch
from golden_mask_cut import Rendering, settle
from golden_networks import ANGLES, mapping, network, tensor, watched
from golden_tools import given_normal, given_uniform, parse_inputs

from sadtalker_ext.models.keypoints import HeadAngles, transform_keypoints

LAYERS_AFTER_THE_MASK = {
    "warped_third": "third",
    "decoder_in_pre_occl": "fourth",
    "G0": "decoder.G_middle_0",
    "up_0": "decoder.up_0",
}


def generator(golden):
    size = int(golden.name.rpartition("_")[2])
    net, seen = network("generator"), {}
    given = parse_inputs(golden.meta["in"])
    image = tensor(given.get("x", given_uniform(f"image{size}", 1, 3, size, size)))
    source = tensor(given.get("kp_source", given_uniform("kp_source", 1, 15, 3) * np.float32(1.6) - np.float32(0.8)))
    delta = np.float32(0.1) * given_normal("kp_drive_delta", 1, 15, 3)
    driving = tensor(given["kp_driving"]) if "kp_driving" in given else source + tensor(delta)
    encoded = net.encode_source(image)
    hourglass = net.dense_motion_network.hourglass
    with watched(hourglass, "hourglass", seen), watched(hourglass, "hourglass_in", seen, of_input=True):
        rendering = Rendering(net, encoded, source, driving)
    motion = rendering.motion
    painted = settle(golden, lambda: paint(golden, rendering), lambda index: (rendering, index[0]), golden.tolerance)
    seen |= painted
    return seen | {
        "feature_3d": encoded.features,
        "deformation": rendering.motion.deformation,
        "mask": motion.mask,
        "occlusion_map": motion.occlusion,
    }


def paint(golden, rendering):
    """Return the frames, and the outputs of the layers after the mask that the golden contains."""
    seen = {}
    with contextlib.ExitStack() as stack:
        for key, layer in LAYERS_AFTER_THE_MASK.items():
            if key in golden.stored:
                stack.enter_context(watched(rendering.network.get_submodule(layer), key, seen))
        frames = rendering.frames()
    return seen | {"prediction": frames, "prediction_crop": frames}


def animation(golden):
    """Return two lanes of two steps, without and with given angles; inputs are recognised by their shapes."""
    given = {name: np.asarray(value, dtype=np.float32) for name, value in parse_inputs(golden.meta["in"]).items()}
    images = [value for value in given.values() if value.ndim == 4 and value.shape[1] == 3]
    targets = [value for value in given.values() if value.ndim == 4 and value.shape[-1] == 27]
    sources = [value for value in given.values() if value.ndim == 3 and value.shape[-1] == 27]
    angles = {name: value for name, value in given.items() if value.ndim == 2 and value.shape == (2, 2)}
    if not (images and targets and sources):
        raise LookupError(f"no picture, source and target windows in: {golden.meta['in']}")
    out = {}
    for name in golden.stats:
        used = {axis: tensor(value) for key, value in angles.items() for axis in ANGLES if axis in key and axis in name}
        if "yaw" in name and not used and angles:
            used = {"yaw": tensor(next(iter(angles.values())))}
        steps = renderings(tensor(images[0]), tensor(sources[0]), tensor(targets[0]), used)
        out |= settle(golden, functools.partial(stack_steps, name, steps), steps_by_index(steps), golden.tolerance)
    return out


def stack_steps(name, steps):
    return {name: torch.stack([rendering.frames() for rendering in steps], dim=1)}


def steps_by_index(steps):
    """Return a function from an index (lane, step, channel, row, column) to rendering and lane."""
    return lambda index: (steps[index[1]], index[0])


def renderings(image, source, target, angles):
    """Return one rendering of all lanes per step."""
    lanes, steps = target.shape[:2]
    heads = mapping(target.shape[2])
    generator_net = network("generator")
    canonical = network("kp_extractor")(image)
    canonical = canonical.expand(lanes, -1, -1)
    kp_source = transform_keypoints(canonical, heads(source.expand(lanes, -1, -1)))
    encoded = generator_net.encode_source(image)
    made = []
    for step in range(steps):
        override = HeadAngles(*(angles[axis][:, step] if axis in angles else None for axis in ANGLES))
        driving = transform_keypoints(canonical, heads(target[:, step]), override)
        made.append(Rendering(generator_net, encoded, kp_source, driving))
    return made


COMPUTE = {"generator_256": generator, "generator_512": generator, "animation_256": animation}
