"""Can advise, bill and whatif work with what is measured here? Entry: `diagnose.diagnose`.

Facts come from outside (`facts`); the findings that they may lead to are one table (`findings`).
"""
