"""Lesson 08: a rationale and a label as two tasks of one model."""
