"""Commands ``sadtalker train renderer`` and ``train mapping_net``: the rendering networks of the SadTalker engine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.cli.train_flags import (
    ACCELERATE,
    NEXT_EXPORT,
    add_run_flags,
    code_version,
    plan_from_options,
    print_weights,
    show_progress,
)
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from torch import nn

CONFIGS = ("tiny", "small", "full")
PERCEPTUAL = ("random", "vgg")
DATA_HELP = "data set of train practice or train prepare"


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add ``renderer`` and ``mapping_net`` to the commands of ``train``."""
    renderer = recipes.add_parser(
        "renderer", help="sadtalker: keypoints, dense motion and generator, from clips", epilog=ACCELERATE,
        description="Train the keypoint detector, the dense motion network and the generator on clips.",
    )  # fmt: skip
    renderer.add_argument(
        "--gradient-checkpointing", "--recompute", action="store_true", dest="gradient_checkpointing",
        help="gradient checkpointing: less memory, slower, identical results",
    )  # fmt: skip
    renderer.add_argument(
        "--guided", action="store_true",
        help="add landmark losses to --config full; motion is learned in far fewer steps",
    )  # fmt: skip
    renderer.set_defaults(run=_renderer)
    mapping = recipes.add_parser(
        "mapping_net", help="sadtalker: coefficients to keypoints of the renderer", epilog=ACCELERATE,
        description="Train the network that maps face coefficients to the keypoint motion of a trained renderer.",
    )  # fmt: skip
    mapping.add_argument("--renderer", type=Path, required=True, metavar="DIR", help="run folder of a trained renderer")
    mapping.add_argument(
        "--coefficients", type=int, choices=(70, 73), default=70,
        help="number of coefficients: 73 for the modes full and extfull, which use the crop; 70 for the "
        "other modes (default)",
    )  # fmt: skip
    mapping.add_argument(
        "--guided", action="store_true", help="set if a renderer of --config full was trained with --guided"
    )
    mapping.set_defaults(run=_mapping_net)
    for parser in (renderer, mapping):
        parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=DATA_HELP)
        parser.add_argument("--config", choices=CONFIGS, default="small", help="size of the networks (default small)")
        parser.add_argument(
            "--perceptual", choices=PERCEPTUAL,
            help="features of the perceptual loss: vgg (VGG-19, needs torchvision; default of --config full) or random "
            "filters",
        )  # fmt: skip
        add_run_flags(parser)


def _renderer(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.model_sizes import renderer_size
    from sadtalker_ext.training.sadtalker.renderer import PLANS, RendererRecipe, train_renderer

    show_progress()
    size, pyramid = renderer_size(options.config), create_pyramid(options)
    recipe = RendererRecipe(
        options.data, size, pyramid, gradient_checkpointing=options.gradient_checkpointing, guided=options.guided
    )
    paths = train_renderer(recipe, options.out, plan_from_options(PLANS[options.config], options), code_version())
    data, run = shlex.quote(str(options.data)), shlex.quote(str(options.out))
    next_step = f"Next: sadtalker train mapping_net --data {data} --config {options.config} --renderer {run}"
    print_weights(paths, f"{next_step} --coefficients 70 --out mapping_70, and the same with 73")
    return 0


def _mapping_net(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.mapping_net import PLANS, MappingRecipe, train_mapping
    from sadtalker_ext.training.sadtalker.model_sizes import renderer_size
    from sadtalker_ext.training.sadtalker.renderer_networks import load_renderer

    show_progress()
    size, renderer = renderer_size(options.config), load_renderer(options.renderer)
    if renderer.generator.config != size.generator:
        raise SettingsError(
            f"{options.renderer} has no renderer of the size {options.config}; use the --config of its training"
        )
    pyramid = create_pyramid(options)
    recipe = MappingRecipe(options.data, size, renderer, pyramid, options.coefficients, guided=options.guided)
    path = train_mapping(recipe, options.out, plan_from_options(PLANS[options.config], options), code_version())
    print_weights(path, NEXT_EXPORT)
    return 0


def create_pyramid(options: argparse.Namespace) -> nn.Module:
    """Return the feature network of the perceptual loss that ``--perceptual`` and ``--config`` select."""
    from sadtalker_ext.training.sadtalker.perceptual_loss import PYRAMIDS

    name = options.perceptual or ("vgg" if options.config == "full" else "random")
    return PYRAMIDS[name]()
