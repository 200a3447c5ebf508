"""Where data is read from: a local folder, a tar, a zip, a bucket or a web server, with one interface for formats.

    AnyPath = Path | ArchivePath  what a format walks over; a local folder is a plain pathlib.Path
    ByteRange                     some bytes of a file or URL; any process can read them without the index

An archive or a bucket is listed once into a tree of names and byte ranges (:mod:`~augpipe.storage.tree`). A worker
receives byte ranges only, and opens the files itself.
"""
