"""Lesson 03: chain-of-thought templates."""
