"""Measure how far requests and files have moved from the training data.

counting   counts rows in the reference's bins
recent     counts and reports the last minute's rows of each model
report     compares counts with the reference, and judges them
drawing    a report in the form in which it is drawn
"""
