"""Tests of the local TikTok: that it is as strict as TikTok is known to be."""

from __future__ import annotations
