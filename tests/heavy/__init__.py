"""The heavy proofs: a real Airflow on PostgreSQL, whose tasks are killed and whose database is stopped."""
