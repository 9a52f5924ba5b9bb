"""How it is asked: the HTTP contract, one controller for each subject."""
