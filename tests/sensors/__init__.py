"""Tests of airflow_provider_tiktok/sensors."""
