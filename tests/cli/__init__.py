"""Tests of ``airflow-tiktok``."""

from __future__ import annotations
