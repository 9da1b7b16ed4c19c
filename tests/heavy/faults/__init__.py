"""Tasks are killed and the database is stopped in the middle of refreshes, in one Airflow."""
