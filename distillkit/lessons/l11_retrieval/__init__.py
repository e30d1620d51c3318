"""Lesson 11: whether to distil, to fine-tune or to retrieve."""
