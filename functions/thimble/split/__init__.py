"""Split a large file among many functions: plan it, classify its ranges, and assemble the same bytes.

tasks      the three tasks of the state machine;  `execution` starts it
plan       the folder that the functions share;  `ranges` tells which ranges are right
range_task classifies one range;  `assemble` joins them
"""
