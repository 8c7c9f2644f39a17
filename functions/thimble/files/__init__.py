"""Door two: from S3's event to a result, its rejections and its summary.

events     what S3 announces;  `pipeline` one file by one function;  `jobs` a job's identity, summary and end
streams    answered parts on their way to the result;  `uploads` an object, seen when it is whole
multipart  pieces joined to one object;  `copies` one that begins with another's bytes
options    what a file is asked beside labels, by the stack or by itself
"""
