"""The steps of preprocessing: each reads columns of the table and appends columns to it.

`model/README.md` says what each step computes.
"""
