"""Values of this package compared with values recorded from the official code.

Every pair of ``*.json`` and ``*.safetensors`` in ``SADTALKER_GOLDEN_DIR`` (default: this folder) is checked; inputs
are generated from names that start with ``SADTALKER_GOLDEN_INPUT_PREFIX`` (default ``in.``).
"""

import functools

import golden_networks
import golden_pieces
import golden_renderer
import numpy as np
import pytest
import torch
from golden_tools import NOT_COMPUTED, NOT_COMPUTED_IN, parse_inputs, read_goldens, view

GOLDENS = read_goldens()
COMPUTE = golden_networks.COMPUTE | golden_renderer.COMPUTE | golden_pieces.COMPUTE
CASES = [
    pytest.param(golden, name, id=f"{golden}-{name}")
    for golden, content in GOLDENS.items()
    if golden not in NOT_COMPUTED
    for name in content.stats
]


@functools.lru_cache(maxsize=1)
def computed(golden):
    """Return the full tensors of one golden; tests run in order of goldens, so one is cached."""
    with torch.inference_mode():
        values = COMPUTE[golden](GOLDENS[golden])
    return {name: np.asarray(value) for name, value in values.items()}


@pytest.mark.parametrize(("golden", "name"), CASES)
def test_values_of_the_official_code(golden, name):
    if reason := NOT_COMPUTED_IN.get(golden, {}).get(name):
        pytest.skip(reason)
    if golden == "mel" and name.startswith("bus.") and not golden_pieces.SPEECH.exists():
        pytest.skip("needs the shared recording")
    if golden not in COMPUTE:
        pytest.fail(f"no code computes the golden {golden}; it contains {sorted(GOLDENS[golden].stats)}")
    content = GOLDENS[golden]
    facts = content.stats[name]
    ours = computed(golden).get(name)
    assert ours is not None, f"no code computes {name} of the golden {golden}"
    assert list(ours.shape) == facts["shape"]
    allowed = content.tolerance(name)
    stored = content.stored[name]
    gap = np.abs(view(ours, facts["view"]).astype(np.float64) - stored).max()
    assert gap <= allowed, f"off by {gap:.3g}, allowed {allowed:.3g}"
    assert abs(ours.astype(np.float64).mean() - facts["mean"]) <= allowed
    assert abs(np.abs(ours.astype(np.float64)).max() - facts["absmax"]) <= allowed
    if ours.size > 1:
        assert abs(ours.astype(np.float64).std(ddof=1) - facts["std"]) <= max(allowed, 1e-6)


@pytest.mark.skipif(not GOLDENS, reason="no goldens in this folder")
def test_every_golden_is_checked_or_listed_as_not_computed():
    assert set(GOLDENS) <= set(COMPUTE) | set(NOT_COMPUTED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full", (4, 6)),
        ("[:, ::2]", (4, 3)),
        ("[1:3, [0, 5]]", (2, 2)),
        ("[:1, 2:]", (1, 4)),
    ],
)
def test_views_are_read_without_evaluating_them(text, expected):
    assert view(np.zeros((4, 6)), text).shape == expected


def test_formulas_of_descriptions_give_inputs():
    text = "x=uniform(in.a,(1,2)); y=x*2-0.5, z=0.1*normal(in.b,(3,)); bs=2 and more words; w=[[1,2],[3,4]]"
    found = parse_inputs(text)
    assert found["x"].shape == (1, 2)
    assert np.allclose(found["y"], found["x"] * 2 - 0.5)
    assert found["z"].shape == (3,)
    assert found["w"] == [[1, 2], [3, 4]]
    assert parse_inputs("pic=uniform(in.c,(1,3,4,4)) repeated for both lanes")["pic"].shape == (1, 3, 4, 4)
