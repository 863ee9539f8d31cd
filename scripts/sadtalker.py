"""The only file that stable-diffusion-webui runs: it hands the tab, the settings and the API to the host."""

import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parents[1])
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)

from sadtalker_ext.api.options import ApiOptions, read_logins  # noqa: E402
from sadtalker_ext.api.router import PREFIX, make_router  # noqa: E402
from sadtalker_ext.webui.host import AnimateResults, Rest, register  # noqa: E402

__all__ = ["AnimateResults"]

register(Rest(PREFIX, make_router, ApiOptions, read_logins))
