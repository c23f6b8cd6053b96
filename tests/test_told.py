"""What twins say to models beside the harness's own fields of a request."""

from types import SimpleNamespace

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.told import NOTHING, Told, tell, told_of


def test_what_is_told_is_read_back() -> None:
    request = SimpleNamespace()
    told = Told(Conversation(("1 + 1?",)), sentences=("It is 2.",))
    tell(request, told)
    assert told_of(request) == told


def test_a_request_that_says_nothing_says_nothing() -> None:
    assert told_of(SimpleNamespace()) is NOTHING
    of_an_older_cache = SimpleNamespace(conversation=Conversation(("1 + 1?",)))
    assert told_of(of_an_older_cache).conversation is None
