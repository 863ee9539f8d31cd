"""``sadtalker train renderer`` and ``mapping_net``: the pictures of the SadTalker engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.cli.train_flags import ACCELERATE, add_plan, changed_plan, code_version, log_progress
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from torch import nn

CONFIGS = ("tiny", "small", "full")
PERCEPTUAL = ("random", "vgg")


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add the renderer's two recipes to those of ``train``."""
    renderer = recipes.add_parser("renderer", help="what moves and paints a portrait, from clips", epilog=ACCELERATE)
    renderer.add_argument("--recompute", action="store_true", help="less memory for more time; the numbers stay")
    renderer.add_argument(
        "--guided", action="store_true",
        help="full: add losses by which landmarks guide keypoints and field; motion is learnt far sooner",
    )  # fmt: skip
    renderer.set_defaults(run=_renderer)
    mapping = recipes.add_parser("mapping_net", help="coefficients to the renderer's keypoints", epilog=ACCELERATE)
    mapping.add_argument("--renderer", type=Path, required=True, metavar="DIR", help="folder of a finished renderer")
    mapping.add_argument(
        "--coefficients", type=int, choices=(70, 73), default=70,
        help="73 for the modes full and extfull, which know where the crop lies; 70 for the others (default)",
    )  # fmt: skip
    mapping.add_argument("--guided", action="store_true", help="full: the renderer was trained with --guided")
    mapping.set_defaults(run=_mapping)
    for parser in (renderer, mapping):
        parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="from train practice or prepare")
        parser.add_argument("--config", choices=CONFIGS, default="small", help="size of the networks (default small)")
        parser.add_argument(
            "--perceptual", choices=PERCEPTUAL,
            help="what compares pictures: vgg (VGG-19, needs torchvision; default of full) or fixed random filters",
        )  # fmt: skip
        add_plan(parser)


def _renderer(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.model_sizes import renderer_size
    from sadtalker_ext.training.sadtalker.renderer import PLANS, RendererRecipe, train_renderer

    log_progress()
    size, pyramid = renderer_size(options.config), pyramid_of(options)
    recipe = RendererRecipe(options.data, size, pyramid, recompute=options.recompute, guided=options.guided)
    paths = train_renderer(recipe, options.out, changed_plan(PLANS[options.config], options), code_version())
    print(json.dumps({"weights": {name: str(path) for name, path in paths.items()}}))
    return 0


def _mapping(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.mapping_net import PLANS, MappingRecipe, train_mapping
    from sadtalker_ext.training.sadtalker.model_sizes import renderer_size
    from sadtalker_ext.training.sadtalker.renderer_networks import load_renderer

    log_progress()
    size, renderer = renderer_size(options.config), load_renderer(options.renderer)
    if renderer.generator.config != size.generator:
        raise SettingsError(f"{options.renderer} holds no renderer of the size {options.config}; name its own --config")
    pyramid = pyramid_of(options)
    recipe = MappingRecipe(options.data, size, renderer, pyramid, options.coefficients, guided=options.guided)
    path = train_mapping(recipe, options.out, changed_plan(PLANS[options.config], options), code_version())
    print(json.dumps({"weights": str(path)}))
    return 0


def pyramid_of(options: argparse.Namespace) -> nn.Module:
    """What compares pictures, as the flags --perceptual and --config say."""
    from sadtalker_ext.training.sadtalker.perceptual_loss import PYRAMIDS

    chosen = options.perceptual or ("vgg" if options.config == "full" else "random")
    return PYRAMIDS[chosen]()
