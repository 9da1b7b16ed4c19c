"""The hook: from an Airflow Connection to an account on TikTok."""

from __future__ import annotations
