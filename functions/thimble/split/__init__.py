"""A large file shared by many functions: planned, classified range by range, assembled to the same bytes.

workflow   the three tasks of the state machine;  `handover` starts it
divided    an input by ranges: `ranges` says where they begin, `share` is one function's
parts      the folder in which they meet;  `assembly`, `joining` and `multipart` make one result of them
"""
