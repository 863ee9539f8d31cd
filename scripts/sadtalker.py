"""Entry point of the extension: registers its tab, settings, script and REST API with stable-diffusion-webui."""

import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parents[1])
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)

from sadtalker_ext.api.options import ApiOptions, read_logins  # noqa: E402
from sadtalker_ext.api.router import PREFIX, make_router  # noqa: E402
from sadtalker_ext.webui.host import AnimateResults, RestApi, register  # noqa: E402

__all__ = ["AnimateResults"]

register(RestApi(PREFIX, make_router, ApiOptions, read_logins))
