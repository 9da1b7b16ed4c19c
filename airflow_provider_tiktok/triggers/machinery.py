"""
Imports what the triggers run on, beside the triggerer's event loop.

It is fifty modules, which take a fifth of a second: Airflow warns of an event loop that stands still for that
long. And a task that only defers needs none of them.
"""

from __future__ import annotations

import asyncio
import importlib

_MACHINERY = "airflow_provider_tiktok.triggers.waiting"
_is_loaded = False


async def loaded() -> None:
    """Return when an import of :mod:`airflow_provider_tiktok.triggers.waiting` takes no time any more."""
    global _is_loaded  # noqa: PLW0603
    if not _is_loaded:  # not asked of sys.modules, where a module stands while it is imported
        await asyncio.to_thread(importlib.import_module, _MACHINERY)
        _is_loaded = True
