"""The rules of `docs/format.md`, one module a section, written from that page alone: nothing here imports augpipe.

Every check is a generator of problems, each a line `WHERE: what is wrong`; no line means accepted.
Where the page can be read in two reasonable ways both are accepted, and a comment beginning with "Either" says so.
"""
