"""Lesson 07: before and after."""
