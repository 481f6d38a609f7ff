"""A diagnosis as a table and as a document, and the questions that lead to it."""
