"""The content of report.json: everything that a report shows."""
