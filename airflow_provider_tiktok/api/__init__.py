"""TikTok's API: requests, answers and uploads. Knows nothing of Airflow."""

from __future__ import annotations
