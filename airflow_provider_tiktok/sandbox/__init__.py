"""A local TikTok to develop and test against. A program of its own: it shares no logic with the client."""

from __future__ import annotations
