"""Which layers does a live cluster have, and can check, why and plan work with it? Entry: `diagnose`.

What runs is recognized from its objects (`recognize`); the findings that it may lead to are one table
(`findings`); the role that all of it needs is made from the kinds that are read (`role`).
"""
