"""Door two: from an S3 event to a result, its rejections and its summary.

events     S3's events;  `pipeline`: one file in one function;  `jobs`: a job's identity, summary and end
streams    answered parts, counted and written;  `uploads`: an object that is visible only when it is whole
multipart  joins pieces to one object;  `copies`: an object that begins with the bytes of another
options    the options of a file, from the stack or the file's own metadata
"""
