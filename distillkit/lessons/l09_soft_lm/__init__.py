"""Lesson 09: soft labels for language models."""
