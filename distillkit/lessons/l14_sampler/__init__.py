"""Lesson 14: a sampler distilled step by step."""
