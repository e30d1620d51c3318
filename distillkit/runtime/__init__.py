"""This machine, crash-safe files, and what a person sees of long work.

- `session`: tier, device, precision, folders and seeds, and why
- `busy`: other programs on this machine, and what follows for the threads
- `files`: atomic files, journals, digests
- `progress`: lines with the time left, a log, the stages of a run
"""
