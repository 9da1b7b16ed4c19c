"""``tiktok-sandbox``: a local TikTok from the command line."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("click", "psutil", "rich", "starlette", "uvicorn")


def main() -> None:
    """Run the command, or say what is missing."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        sys.stderr.write('tiktok-sandbox needs more: pip install "airflow-provider-tiktok[sandbox]"\n')
        raise SystemExit(2)
    from airflow_provider_tiktok.sandbox.commands import sandbox

    sandbox(prog_name="tiktok-sandbox")


if __name__ == "__main__":
    main()
