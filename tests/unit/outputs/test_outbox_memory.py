from __future__ import annotations

from edge_agent.outputs.mqtt.memory import Memory
from edge_agent.outputs.mqtt.messages import ROW_OVERHEAD, Entry

COST = ROW_OVERHEAD + 40


def entry(seq: int, *, picture: bool = False, text: str = "") -> Entry:
    return Entry(seq, picture, text.encode().ljust(40), "boot", 0.0, True)


def seqs(memory: Memory) -> list[int]:
    return [held.seq for held in memory]


def test_what_is_lent_comes_in_its_place_and_does_not_replace_what_is_here() -> None:
    memory = Memory(10 * COST)
    memory.add(entry(4, text="first"))
    memory.lend([entry(7), entry(4, text="second"), entry(2)])
    assert seqs(memory) == [2, 4, 7]
    assert (held := memory.get(4)) is not None and held.body.startswith(b"first")


def test_events_that_are_nowhere_else_are_at_risk() -> None:
    memory = Memory(10 * COST)
    memory.add(entry(5))
    memory.add(entry(6, picture=True))
    memory.lend([entry(1), entry(2)])
    assert memory.events_at_risk == 1
    memory.keep_lent()
    assert memory.events_at_risk == 3


def test_who_is_removed_was_nowhere_else_unless_lent_or_unknown() -> None:
    memory = Memory(10 * COST)
    memory.add(entry(5))
    memory.lend([entry(1)])
    assert [memory.remove(seq) for seq in (5, 1, 99)] == [True, False, False]
    assert not memory


def test_the_newest_of_what_was_lent_goes_first_and_no_more_than_needed() -> None:
    memory = Memory(3 * COST)
    memory.add(entry(9))
    memory.lend([entry(1), entry(2), entry(3), entry(4)])
    assert memory.room == -2 * COST
    assert memory.give_back(-memory.room) == [4, 3]
    assert memory.give_back(-memory.room) == []
    assert (seqs(memory), memory.room) == ([1, 2, 9], 0)
    assert memory.give_back() == [2, 1]
    assert seqs(memory) == [9]
