"""The chain of the audit trail: whatever is done to an export is found and named."""

import copy
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from service.domain.chain import GENESIS, Checkpoint, Head, link, read_checkpoint
from service.domain.chain_check import ChainCheck, TamperedError, check_checkpoints
from service.domain.ecs import Link, to_line

SEED = bytes(range(32))
KEY = SigningKey(SEED).verify_key
Export = list[dict[str, Any]]


def _export(counts: dict[int, int], seed: int = 0) -> tuple[Export, list[Checkpoint]]:
    """Sealed events of some partitions, interleaved, and a checkpoint half-way and at the end."""
    rng = random.Random(seed)
    order = [p for p, count in counts.items() for _ in range(count)]
    rng.shuffle(order)
    heads: dict[int, Head] = {}
    lines: Export = []
    checkpoints: list[Checkpoint] = []
    for n, partition in enumerate(order, start=1):
        before = heads.get(partition, Head(0, "", GENESIS.hex()))
        original = json.dumps({"type": "delivery.begun", "at": n, "app": "shop", "delivery": n})
        hash_ = link(bytes.fromhex(before.hash), partition, f"{n}-0", original).hex()
        heads[partition] = Head(before.sequence + 1, f"{n}-0", hash_)
        lines.append(to_line(partition, f"{n}-0", original, Link(before.sequence + 1, hash_)))
        if n in (len(order) // 2, len(order)):
            checkpoints.append(
                Checkpoint(
                    number=len(checkpoints) + 1,
                    at=n,
                    previous=checkpoints[-1].hash if checkpoints else "",
                    key="k",
                    heads=dict(heads),
                ).signed(SEED)
            )
    return lines, checkpoints


def _check(lines: Export, checkpoints: list[Checkpoint]) -> ChainCheck:
    check = ChainCheck(check_checkpoints(checkpoints, [KEY]))
    for line in lines:
        check.take(line)
    check.end()
    return check


def _fault(lines: Export, checkpoints: list[Checkpoint]) -> TamperedError:
    with pytest.raises(TamperedError) as caught:
        _check(lines, checkpoints)
    return caught.value


exports = st.builds(
    _export,
    st.dictionaries(st.integers(0, 63), st.integers(1, 8), min_size=1, max_size=4),
    st.integers(0, 99),
)


@given(exports)
def test_what_is_untouched_is_as_it_was_sealed(export: tuple[Export, list[Checkpoint]]) -> None:
    lines, checkpoints = export
    assert _check(lines, checkpoints).sealed == len(lines)


@given(exports, st.data())
def test_each_change_is_found_and_its_place_named(
    export: tuple[Export, list[Checkpoint]], data: st.DataObject
) -> None:
    lines, checkpoints = export
    at = data.draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    place = f"partition {line['id'][:2]}, event {line['event']['sequence']}"
    of_partition = [one for one in lines if one["id"][:2] == line["id"][:2]]
    is_last = line is of_partition[-1]

    changed = copy.deepcopy(lines)
    changed[at]["event"]["original"] = changed[at]["event"]["original"].replace("shop", "chop")
    changed[at]["app"] = "chop"
    fault = _fault(changed, checkpoints)
    assert (fault.what, fault.where.startswith(place)) == ("changed", True)

    shown = copy.deepcopy(lines)
    shown[at]["app"] = "other"
    assert _fault(shown, checkpoints).what == "changed"

    fault = _fault([*lines[:at], *lines[at + 1 :]], checkpoints)
    assert (fault.what, fault.where) == ("truncated" if is_last else "removed", place)

    fault = _fault([*lines[: at + 1], copy.deepcopy(line), *lines[at + 1 :]], checkpoints)
    assert (fault.what, fault.where.startswith(place)) == ("inserted", True)
    if not is_last:
        made_up = to_line(int(line["id"][:2]), "5-5", '{"type": "x", "at": 1}')
        fault = _fault([*lines[:at], made_up, *lines[at:]], checkpoints)
        assert (fault.what, fault.where) == ("inserted", f"partition {line['id'][:2]}, id 5-5")
        other = of_partition[of_partition.index(line) + 1]
        swapped = [other if x is line else line if x is other else x for x in lines]
        fault = _fault(swapped, checkpoints)
        assert (fault.what, fault.where) == ("reordered", place)


@given(exports, st.data())
def test_what_was_read_before_it_was_sealed_is_proven_by_what_follows(
    export: tuple[Export, list[Checkpoint]], data: st.DataObject
) -> None:
    lines, checkpoints = export
    early = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1))
    read = [
        to_line(int(line["id"][:2]), line["id"][3:], line["event"]["original"])
        if n in early
        else line
        for n, line in enumerate(lines)
    ]
    check = _check(read, checkpoints)
    assert (check.sealed, check.unsealed) == (len(lines), 0)
    at = data.draw(st.sampled_from(sorted(early)))
    line = read[at]
    original = line["event"]["original"].replace("shop", "chop")
    edited = to_line(int(line["id"][:2]), line["id"][3:], original)
    _fault([*read[:at], edited, *read[at + 1 :]], checkpoints)
    _fault([*read[:at], *read[at + 1 :]], checkpoints)
    _fault([*read[:at], edited, *read[at:]], checkpoints)


@given(exports)
def test_a_chain_that_was_made_anew_is_told_by_the_checkpoints(
    export: tuple[Export, list[Checkpoint]],
) -> None:
    lines, checkpoints = export
    forged: Export = []
    previous: dict[str, bytes] = {}
    for line in lines:
        partition, _, stream_id = line["id"].partition("-")
        original = line["event"]["original"].replace("shop", "chop")
        before = previous.get(partition, GENESIS)
        previous[partition] = link(before, int(partition), stream_id, original)
        sealed = Link(line["event"]["sequence"], previous[partition].hex())
        forged.append(to_line(int(partition), stream_id, original, sealed))
    assert _fault(forged, checkpoints).what == "rewritten"
    assert _check(forged, []).sealed == len(lines)  # which is why they are signed


def test_checkpoints_follow_each_other_and_are_signed() -> None:
    lines, (first, second) = _export({1: 4, 2: 4})
    third = Checkpoint(number=3, at=9, previous=second.hash, key="k", heads=second.heads)
    for wrong in (
        [first, second, replace(second, at=7).signed(SEED)],
        [second, replace(third, number=4, heads=first.heads).signed(SEED)],
        [first, second, third.signed(bytes(32))],
        [first, read_checkpoint(second.to_members() | {"at": 7})],
        [first, read_checkpoint(second.to_members() | {"signature": "x"})],
    ):
        with pytest.raises(TamperedError, match="checkpoint"):
            check_checkpoints(wrong, [KEY])
    check_checkpoints([first, third.signed(SEED)], [KEY])  # not all are kept
    check_checkpoints([second, third.signed(SEED)], [SigningKey(bytes(32)).verify_key, KEY])
    assert _check(lines, [second]).sealed == 8


def test_what_is_not_sealed_yet_is_said_to_be_so() -> None:
    lines, checkpoints = _export({3: 5})
    check = _check([*lines, to_line(3, "9-0", '{"type": "x", "at": 1}')], checkpoints)
    assert (check.sealed, check.unsealed) == (5, 1)


@pytest.mark.parametrize("members", [{}, {"number": 1}, {"heads": []}])
def test_what_is_no_checkpoint_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        read_checkpoint(members)
