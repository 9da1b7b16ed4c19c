"""Airflow as larger companies run it: CeleryExecutor on Redis, and two of each that works off tasks."""
