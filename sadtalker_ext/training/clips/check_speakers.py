"""Check of the number of speakers and of their shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.training.clips.check_report import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_SPEAKERS: Final = 5
"""Speakers from which a network can be expected to work for others."""
MAX_SHARE: Final = 0.8
"""Largest share of the data that one speaker may have."""


def check_speakers(amounts: Mapping[str, int], unit: str) -> list[Finding]:
    """Return the problem of too few speakers, if there is one. amounts: data of each speaker, in ``unit``."""
    if not amounts:
        return []
    largest = max(amounts, key=lambda name: amounts[name])
    share = amounts[largest] / sum(amounts.values())
    remedy = (
        f"add {unit} of other people until there are {MIN_SPEAKERS} or more with similar shares, or use the network "
        "for these people only; if there are more people than are named here, put the videos of each into a folder of "
        "its own"
    )
    if len(amounts) < MIN_SPEAKERS:
        problem = f"there are too few speakers to learn what people have in common: {len(amounts)} of {MIN_SPEAKERS}"
        shares = {name: f"{count} {unit if count != 1 else unit[:-1]}" for name, count in amounts.items()}
        return [Finding("speakers", problem, remedy, shares)]
    if share > MAX_SHARE:
        problem = "most of the data show one speaker"
        return [Finding("speakers", problem, remedy, {largest: f"{100 * share:.0f} % of the {unit}"})]
    return []
