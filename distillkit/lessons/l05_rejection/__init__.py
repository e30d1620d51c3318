"""Lesson 05: rejection sampling."""
