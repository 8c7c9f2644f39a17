"""How far what comes in has moved from the training data.

observed   rows counted in the reference's bins;  `drift` what the counts say
watch      a minute's, as metrics;  `waiting` is what its requests leave until then
"""
