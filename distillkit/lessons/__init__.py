"""One folder a lesson: its checks, its figures, its own experiment."""
