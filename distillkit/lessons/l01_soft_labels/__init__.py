"""Lesson 01: soft and hard labels, on handwritten digits."""
