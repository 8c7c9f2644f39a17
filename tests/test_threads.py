import threading
from collections.abc import Iterator

import pytest

from thimble.threads import ahead


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_the_order_of_their_items(workers: int) -> None:
    assert [*ahead(lambda item: item * item, range(100), workers)] == [item * item for item in range(100)]


@pytest.mark.parametrize(("workers", "taken"), [(1, 1), (2, 3), (4, 5)])
def test_so_many_items_are_taken_before_the_first_result(workers: int, taken: int) -> None:
    seen = list[int]()

    def items() -> Iterator[int]:
        for item in range(100):
            seen.append(item)
            yield item

    assert next(ahead(str, items(), workers)) == "0"
    assert len(seen) == taken


def test_a_single_worker_is_the_caller() -> None:
    threads = {*ahead(lambda _: threading.current_thread(), range(3), 1)}
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_in_its_place(workers: int) -> None:
    found = ahead(lambda item: 1 // item, [1, 0, 1], workers)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_stops_an_iteration_does_not_end_the_results(workers: int) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        [*ahead(lambda item: next(iter(())) if item else item, range(2), workers)]
