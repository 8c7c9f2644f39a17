"""The environment: its defaults, and a sentence for what it cannot mean."""

import pytest

from thimble.errors import Unavailable
from thimble.settings import from_environment


def test_every_variable_may_be_absent() -> None:
    settings = from_environment({})
    assert (settings.split_bytes, settings.range_bytes) == (256 << 20, 64 << 20)
    assert settings.workflow_arn == ""


@pytest.mark.parametrize(
    ("name", "text", "meaning"),
    [
        ("MAX_ROWS", "ten", "a whole number from 1 on"),
        ("MAX_BODY_BYTES", "", "a whole number from 1 on"),
        ("SPLIT_BYTES", "256 MB", "a whole number from 1 on"),
        ("RANGE_BYTES", "0", "a whole number from 1 on"),
        ("MAX_REJECTED_SHARE", "1 %", "from 0 to 1"),
        ("MAX_REJECTED_SHARE", "nan", "from 0 to 1"),
        ("MAX_REJECTED_SHARE", "1.5", "from 0 to 1"),
        ("RETRY_SECONDS", "", "whole seconds from 0 to 43200, separated by commas"),
        ("RETRY_SECONDS", "30,,120", "whole seconds from 0 to 43200, separated by commas"),
        ("RETRY_SECONDS", "30,-1", "whole seconds from 0 to 43200, separated by commas"),
        ("RETRY_SECONDS", "43201", "whole seconds from 0 to 43200, separated by commas"),
    ],
)
def test_a_number_that_is_none_is_named(name: str, text: str, meaning: str) -> None:
    with pytest.raises(Unavailable) as raised:
        from_environment({name: text})
    assert str(raised.value) == f"{name} is {text!r}: it has to be {meaning}"


@pytest.mark.parametrize(
    ("name", "text", "meaning"),
    [
        ("THRESHOLD", "a half", "a number, such as 0.3: the least at which the positive class applies"),
        ("THRESHOLD", "nan", "a number, such as 0.3: the least at which the positive class applies"),
        ("BY_CLASS", "yes", "true or false"),
        ("EXPLAIN", "0", "true (or all), false, or how many contributions to show: a whole number from 1"),
    ],
)
def test_a_wrong_option_of_files_is_named(name: str, text: str, meaning: str) -> None:
    test_a_number_that_is_none_is_named(name, text, f"{meaning}; or none, as if it was not said")
