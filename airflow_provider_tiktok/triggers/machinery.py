"""
Has a triggerer's event loop go on while a provider's first trigger begins.

What the triggers run on is fifty modules, whose import takes a fifth of a second; so does the garbage
collector where it looks through all that Airflow has loaded, as it does whenever a quarter as much has come
since: a thousand triggers are that much. Airflow warns of an event loop that stands still for so long.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib

_MACHINERY = "airflow_provider_tiktok.triggers.waiting"
_is_loaded = False
_loading: asyncio.Task[object] | None = None


async def loaded() -> None:
    """Return when an import of :mod:`airflow_provider_tiktok.triggers.waiting` takes no time any more."""
    global _is_loaded, _loading  # noqa: PLW0603
    if _is_loaded:  # not asked of sys.modules, where a module stands while it is imported
        return
    loop = asyncio.get_running_loop()
    if _loading is None or _loading.done() or _loading.get_loop() is not loop:
        gc.freeze()  # what is there lives as long as the triggerer does, and need not be looked through
        importing = asyncio.to_thread(importlib.import_module, _MACHINERY)
        _loading = loop.create_task(importing, context=contextvars.Context())
    await asyncio.shield(_loading)  # whoever is cancelled meanwhile takes nobody down with it
    _is_loaded, _loading = True, None
