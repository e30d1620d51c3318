"""The lessons: masters in `src/`, notebooks built from them by `python -m notebooks.build`."""
