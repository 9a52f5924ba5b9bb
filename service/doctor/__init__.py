"""``countersign doctor``: one module for each thing that is looked at. Nothing is changed by looking."""
