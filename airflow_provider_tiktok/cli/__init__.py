"""The command line: ``airflow-tiktok`` login, status and revoke; also as ``airflow tiktok``."""

from __future__ import annotations
