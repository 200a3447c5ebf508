"""Where files lie: a local folder, a tar, a zip, a bucket, a web server. Read only, and the same to every format.

    AnyPath = Path | ArchivePath  what a format walks over; a local folder is a plain pathlib.Path
    ByteRange                   some bytes, named so that any process can read them without what the index knows

An archive or a bucket is listed once into a tree of names and places (:mod:`~augpipe.storage.tree`); formats look into
it as they do into a folder. A worker is sent places only, and opens what it reads itself.
"""
