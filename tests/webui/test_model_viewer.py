"""The 3D model of a result in the page: found beside the video, shown in Gradio's viewer, and offered for download."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.pipeline.animate import make_video
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.model_viewer import model_files


def skin_share(pixels):
    """Share of the pixels (h, w, 3) that are as bright and red as the astronaut's skin."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    return float(((red > 130) & (red > green + 15) & (green > blue) & (red < 253)).mean())


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A folder of a day with a result that has a 3D model, and one without."""
    folder = tmp_path_factory.mktemp("results") / "2026-01-31"
    folder.mkdir()
    portrait = folder.parent / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((256, 256), Image.LANCZOS).save(portrait)
    settings = Settings(model_3d=True, quality="small")
    make_video(Inputs(portrait, idle_s=0.4), folder / "with.mp4", settings)
    make_video(Inputs(portrait, idle_s=0.4), folder / "without.mp4", Settings(quality="small"))
    (folder / "with.wav").write_bytes(b"RIFF")
    return folder


def test_model_is_found_beside_the_video(day):
    found = model_files("2026-01-31/with.mp4", day.parent)
    assert [path.name for path in found] == ["with.glb", "with.wav"]
    assert model_files("2026-01-31/without.mp4", day.parent) == []
    assert model_files("", day.parent) == []


def test_names_outside_the_results_are_not_found(day):
    assert model_files("2026-01-31/../../results/2026-01-31/with.glb", day.parent) == []
    assert model_files(str(day / "with.mp4"), day) != []
    assert model_files(str(day / "with.mp4"), day / "other") == []


def test_browser_shows_the_model_and_offers_it(standalone, visit, day):
    target = standalone.folder / "videos" / day.name
    shutil.copytree(day, target)
    try:
        visitor = visit(standalone.address)
        page = visitor.page
        page.click('#sadtalker_gallery [data-name$="with.mp4"]:not([data-name$="without.mp4"]) .st-result')
        canvas = page.wait_for_selector("#sadtalker_model canvas")
        page.wait_for_timeout(3000)
        with Image.open(io.BytesIO(canvas.screenshot())) as picture:
            pixels = np.asarray(picture.convert("RGB"), float)
        assert pixels.std() > 15  # a face before a flat background
        middle = pixels[
            pixels.shape[0] // 4 : -pixels.shape[0] // 4, pixels.shape[1] // 2 - 20 : pixels.shape[1] // 2 + 20
        ]
        assert skin_share(middle) > 0.3  # the front, not the hair at the back
        assert "with.glb" in "".join(page.inner_text("#sadtalker_model_files").split())
        page.click('#sadtalker_gallery [data-name$="without.mp4"] .st-result')
        page.wait_for_selector("#sadtalker_model_part", state="hidden")
        assert visitor.errors == []
    finally:
        shutil.rmtree(target)


def test_deleting_a_result_deletes_its_model(day, tmp_path):
    from sadtalker_ext.webui.results import delete_result

    copy = tmp_path / day.name
    shutil.copytree(day, copy)
    delete_result(f"{day.name}/with.mp4", tmp_path)
    assert [path.name for path in copy.iterdir()] == ["without.mp4"]
