"""``airflow-tiktok``: connect TikTok accounts to Airflow, and look after them."""

from __future__ import annotations

from airflow_provider_tiktok.cli.commands import tiktok


def main() -> None:
    """Run the command."""
    tiktok(prog_name="airflow-tiktok")


if __name__ == "__main__":
    main()
