"""SD.Next's X/Y/Z script that is always visible: it makes its cells within the generation whose image is the grid."""

import types
from copy import copy

import pytest
from PIL import Image

pytest.importorskip("gradio")
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.pipeline.result_metadata import read_record


class AxisOption:
    """AxisOption of SD.Next, with the parts that its scripts read."""

    def __init__(self, label, tipe, apply, confirm=None, choices=None):
        self.label, self.type, self.apply, self.confirm, self.choices = label, tipe, apply, confirm, choices


class Grid:
    """scripts/xyz_grid_on.py and process_images, in the order in which they call the hooks of an extension's script."""

    def __init__(self, host, script, arguments):
        self.options = []
        module = types.SimpleNamespace(axis_options=self.options, AxisOption=AxisOption)
        host.scripts.scripts_data.append(types.SimpleNamespace(module=module, script_class=object))
        host.call("before_ui")
        self.script, self.arguments, self.portrait = script, arguments, Image.open(arguments[1])
        self.arguments = (True, *arguments[2:])

    def option(self, label):
        return next(option for option in self.options if option.label == f"[SadTalker] {label}")

    def run(self, option=None, values=()):
        """Generate one image, or a grid with a cell for each value."""
        return self._process_images(types.SimpleNamespace(xyz=False), option, values)

    def _process_images(self, p, option=None, values=()):
        self.script.before_process(p, *self.arguments)
        images = [self.portrait]
        if option is not None:
            option.confirm(p, [option.type(value) for value in values])
            images = [self._cells(p, option, values)]
        processed = types.SimpleNamespace(images=images, index_of_first_image=0, all_seeds=[1], comments="")
        self.script.postprocess(p, processed, *self.arguments)
        return processed

    def _cells(self, p, option, values):
        made = []
        for value in values:
            p.xyz = True
            cell = copy(p)
            option.apply(cell, option.type(value), values)
            made += self._process_images(cell).images
        grid = Image.new("RGB", (sum(image.width for image in made), made[0].height))
        for index, image in enumerate(made):
            grid.paste(image, (index * image.width, 0))
        return grid


@pytest.fixture
def grid(sdnext, job_request, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    request = job_request(0.4)
    script = sdnext.scripts.scripts_data[0].script_class()
    return Grid(sdnext, script, (True, request.inputs.portrait, str(request.inputs.voice), "starter"))


def videos(host):
    return sorted((host.data_path / "outputs" / "SadTalker").glob("*/*.mp4"))


def test_each_cell_is_animated_with_its_value_and_the_grid_is_not(sdnext, grid):
    processed = grid.run(grid.option("Head movement"), ("0.5", "1.5"))
    made = {f"SadTalker made {path.parent.name}/{path.name}": read_record(path).settings for path in videos(sdnext)}
    assert sorted(settings.head_motion_scale for settings in made.values()) == [0.5, 1.5]
    expected = {f"{name} (Head movement: {settings.head_motion_scale})" for name, settings in made.items()}
    assert set(processed.comments.splitlines()) == expected


def test_a_grid_of_another_axis_is_not_animated_either(sdnext, grid):
    steps = AxisOption("Steps", int, lambda p, value, values: setattr(p, "steps", value), lambda p, values: None)
    processed = grid.run(steps, ("2", "3"))
    assert len(videos(sdnext)) == 2
    assert all(line.endswith(".mp4") for line in processed.comments.splitlines())


def test_the_generation_after_a_grid_is_animated(sdnext, grid):
    """Also if the grid was interrupted, so that the webui did not finish its generation."""
    grid.run(grid.option("Head movement"), ("0.5",))
    for count in (2, 3):
        assert len(grid.run().comments.splitlines()) == 1
        assert len(videos(sdnext)) == count


def test_a_cell_that_cannot_be_animated_is_named_below_the_grid(sdnext, grid):
    processed = grid.run(grid.option("Head motion style"), ("nowhere", "0"))
    failed, made = processed.comments.splitlines()
    assert "nowhere" in failed
    assert made.startswith("SadTalker made ")
    assert len(videos(sdnext)) == 1


@pytest.mark.parametrize(("label", "value"), [("Head movement", "9"), ("Still head", "perhaps"), ("Seed", "-1")])
def test_a_value_that_is_not_accepted_stops_the_grid_before_its_first_image(sdnext, grid, label, value):
    with pytest.raises(SettingsError, match=f"The setting {label} is '?{value}"):
        grid.run(grid.option(label), (value,))
    assert videos(sdnext) == []


def test_a_checkbox_offers_its_values(grid):
    assert grid.option("Still head").choices() == ["False", "True"]
    assert grid.option("Seed").choices is None
