"""The files of versions: listed, read in a process apart, hashed and verified."""
