"""The log of heard changes: what it shows is true, and what it has forgotten it denies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.coherence.log import FORGET_PART, ChangeLog
from cacheaside.types import TagId

TAGS = [TagId(name) for name in "abcdefgh"]


def test_a_tag_that_changed_since_is_not_unchanged() -> None:
    """A position is a moment: what changed after it is told from what changed before."""
    log = ChangeLog()
    log.record(TAGS[:1])
    since = log.number
    assert log.unchanged(TAGS, since)
    log.record(TAGS[1:2])
    assert not log.unchanged(TAGS[:2], since)
    assert log.unchanged(TAGS[:1], since)
    assert log.unchanged(TAGS, log.number)


def test_numbers_never_come_back() -> None:
    """Each change of a tag gives it a number that it never had before."""
    log, seen = ChangeLog(2), set[int]()
    for turn in range(100):
        log.record([TAGS[turn % 5]])
        number = log.last(TAGS[turn % 5])
        assert number not in seen
        seen.add(number)


def test_it_is_bounded() -> None:
    """However many tags change, at once or one by one, it remembers no more than it was told to."""
    log = ChangeLog(64)
    for turn in range(1_000):
        log.record([TagId(str(turn))])
        assert len(log) <= 64
    log.record([TagId(f"at once {number}") for number in range(500)])
    assert len(log) <= 64


def test_a_load_is_denied_only_when_it_began_before_what_is_remembered() -> None:
    """A position can be shown to be current for as many later changes as the log is sure to remember."""
    log = ChangeLog(64)
    for turn in range(500):
        since = log.number
        for later in range(64 - 64 // FORGET_PART):
            log.record([TagId(f"{turn} {later}")])
        assert log.unchanged([TagId("another")], since)
    log.record([TagId(f"more {number}") for number in range(64)])
    assert not log.unchanged([TagId("another")], since)


def test_a_tag_that_is_not_known_takes_a_new_number_only_when_something_is_forgotten() -> None:
    """The number of an unknown tag stays while nothing is forgotten, so loads of quiet tags are kept."""
    log = ChangeLog(64)
    quiet = TagId("quiet")
    numbers = set()
    for turn in range(640):
        log.record([TagId(str(turn))])
        numbers.add(log.last(quiet))
    assert len(numbers) <= 640 // (64 // FORGET_PART) + 1


def test_forgetting_all_denies_all_that_began_before() -> None:
    """After forget_all every tag has another number, and nothing from before can be shown to be current."""
    log = ChangeLog()
    log.record(TAGS[:3])
    since, before = log.number, [log.last(tag) for tag in TAGS]
    log.forget_all()
    assert not any(log.unchanged([tag], since) for tag in TAGS)
    assert not set(before) & {log.last(tag) for tag in TAGS}
    assert log.unchanged(TAGS, log.number)


@given(
    st.integers(1, 5),
    st.lists(st.one_of(st.lists(st.sampled_from(TAGS), max_size=4), st.just("look")), max_size=60),
)
def test_it_never_says_unchanged_of_what_changed(size: int, steps: list[list[TagId] | str]) -> None:
    """Whatever changes in whatever order, and however little is remembered: a number or an `unchanged` that holds for a
    tag means that it did not change."""
    log = ChangeLog(size)
    marks: list[tuple[int, dict[TagId, int], int]] = []
    history: list[set[TagId]] = []
    for step in steps:
        if isinstance(step, str):
            marks.append((log.number, {tag: log.last(tag) for tag in TAGS}, len(history)))
        else:
            log.record(step)
            history.append(set(step))
        for number, lasts, at in marks:
            for tag in TAGS:
                changed = any(tag in tags for tags in history[at:])
                assert not (changed and log.unchanged([tag], number))
                assert not (changed and log.last(tag) == lasts[tag])


def test_a_tag_that_is_unsettled_is_never_unchanged() -> None:
    """While a tag counts as changing all the time, no position shows it or what it stands with to be current; others
    are, and it is again when it has settled."""
    log = ChangeLog()
    owed = {TAGS[0]}
    log.unsettled = lambda tags: bool(owed & set(tags))
    assert not log.unchanged(TAGS[:1], log.number)
    assert not log.unchanged(TAGS[:3], log.number)
    assert log.unchanged(TAGS[1:], log.number)
    owed.clear()
    assert log.unchanged(TAGS, log.number)


def test_what_changed_is_not_asked_about() -> None:
    """A change that was heard decides by itself; whether a tag is unsettled is asked last, of all of them at once."""
    log, asked = ChangeLog(), list[list[TagId]]()

    def unsettled(tags: object) -> bool:
        asked.append(list(tags))  # type: ignore[call-overload]
        return False

    log.unsettled = unsettled
    since = log.number
    log.record(TAGS[:1])
    assert not log.unchanged(TAGS[:2], since)
    assert asked == []
    assert log.unchanged(TAGS[1:3], since)
    assert asked == [TAGS[1:3]]
