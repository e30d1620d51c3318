"""Lesson 13: a learning algorithm distilled."""
