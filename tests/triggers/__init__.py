"""Tests of airflow_provider_tiktok/triggers."""
