"""Bringing the data of the release before to this release's layout, while both serve.

A release knows two layouts: its own (``setup.LAYOUT``), and the one before. So two neighbouring releases
may run beside each other, and no others.

1. *Expand.* A process of the new release serves data of the old layout, and changes nothing that the old
   release reads. Workers run the steps of ``steps.py`` meanwhile: one worker, batch by batch.
2. *Close.* Once no process of the old release runs, ``countersign migrate run`` (or ``upgrades =
   "at_once"``) writes the new layout: from then on the old release refuses to start. The steps pass once
   more, over what old processes wrote meanwhile. What needs the new layout begins then: sealing, and
   the short form of records.

How far it is stands in ``cs:meta``. A step is a generator of batches; whoever runs it may die after any of
them, and whoever comes next goes on. For the next layout raise ``LAYOUT``, let ``STEPS`` hold its steps
alone, and make the fixture of the last release (``tests/upgrade``).
"""
