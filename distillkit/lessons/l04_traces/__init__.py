"""Lesson 04: a teacher's traces."""
