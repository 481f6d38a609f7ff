"""Verbs that replay a demand, or prepare one: up, replay, whatif, verify, anonymize, generate."""
