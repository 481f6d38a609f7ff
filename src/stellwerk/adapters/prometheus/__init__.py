"""The HTTP API of Prometheus and VictoriaMetrics: days of raw samples, kept in a folder.

Entry: `fetch.fetch_metrics`; `endpoint.read_endpoint` says where and how, `queries` what is asked for,
`store` where it is kept.
"""
