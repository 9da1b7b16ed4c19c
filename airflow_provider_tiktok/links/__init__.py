"""The buttons on a task's page."""

from __future__ import annotations
