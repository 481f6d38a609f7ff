"""The report as a page on loopback: it answers at once and fills while the job runs."""
