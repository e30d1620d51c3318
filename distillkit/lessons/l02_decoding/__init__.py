"""Lesson 02: decoding strategies."""
