"""Logins in virtual time: the very ``decide`` and the very order of senders, over a model of everything else.

Nothing here does I/O, and the same seed gives the same logins. Two configurations meet the same people, and
a sender treats the same person's message alike in both, so a difference is one of the configurations.
"""
