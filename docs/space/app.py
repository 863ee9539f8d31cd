"""Start the web UI in a Hugging Face Space."""
import os

from sadtalker_ext.cli.main import main

names = ["--allow-host", os.environ["SPACE_HOST"]] if "SPACE_HOST" in os.environ else []
raise SystemExit(main(["ui", "--host", "0.0.0.0", "--port", os.getenv("PORT", "7860"), *names]))  # noqa: S104
