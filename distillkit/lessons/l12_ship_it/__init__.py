"""Lesson 12: ship it."""
