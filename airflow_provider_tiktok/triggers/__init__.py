"""The triggers, which run in the triggerer's one event loop."""

from __future__ import annotations
