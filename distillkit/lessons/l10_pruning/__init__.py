"""Lesson 10: prune, then distil."""
