"""A large file shared by many functions: planned, classified range by range, assembled to the same bytes.

tasks      the three tasks of the state machine;  `execution` starts it
plan       the folder in which the functions meet;  `ranges` says which ranges are right
range_task one function's range;  `assemble` joins them
"""
