"""bakeoff: read a digest of papers and put their claims to the test.

The command is `bakeoff`; the methods are plain code, each in `bakeoff.papers.<area>.<slug>`.
"""

__version__ = "0.1.0"
