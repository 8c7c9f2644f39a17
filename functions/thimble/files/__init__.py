"""Door two: from S3's notification to a result, its rejections and its summary.

events     what S3 announces;  `pipeline` one file by one function;  `jobs` what a result is a function of
streams    blocks in, answered blocks out;  `uploads` the result, seen when it is whole
formats    what a file is read and written as
"""
