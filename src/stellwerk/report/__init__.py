"""Tables, pictures, HTML and receipts: one set for terminal, report and page."""
