"""A plan for short, small clips."""

from __future__ import annotations

from sadtalker_ext.training.clips.prepare_plan import PreparePlan

SIZE = 128
PLAN = PreparePlan(size_px=SIZE, shortest_s=0.8, longest_s=1.2)
