"""Metrics from files: Prometheus' JSON, exposition text, CSV, Parquet. Entry: `load.load_usage`."""
