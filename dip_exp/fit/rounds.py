"""Which steps of a run are kept as pictures: 1, 2, 5, 10, 20, 50, ... No torch."""


def is_round(number: int) -> bool:
    """Returns whether a number is 1, 2 or 5 times a power of ten."""
    text = str(number)
    return text[0] in "125" and set(text[1:]) <= {"0"}
