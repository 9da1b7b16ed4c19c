"""Tests of airflow_provider_tiktok/operators."""
