"""What 0.5.0.dev1 of the harness imports and does not call on one device."""


def get_open_port() -> int:
    """None is asked for."""
    raise AssertionError
