"""Lesson 06: LoRA distillation."""
