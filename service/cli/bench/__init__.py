"""``countersign bench``: logins, as many as are asked for, and how long each step took."""
