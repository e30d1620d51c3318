"""Wrong and right attempts at every exercise, and what the checks say of them."""
