"""How far requests and files have moved from the training data.

counting   rows counted in the reference's bins
recent     the last minute's rows of each model;  `report` says what their counts mean
"""
