"""Tests of the built wheel, with every Airflow and Python."""
