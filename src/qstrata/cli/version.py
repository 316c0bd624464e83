"""The version, as a constant: to look it up in the installed metadata takes as long as a whole command."""

VERSION = "0.1.0"
