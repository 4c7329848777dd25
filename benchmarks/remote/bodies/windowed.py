"""Many questions under way, but never more than what pipes have room for."""

from collections import deque

WINDOW = 200


def windowed(count, ask, answer):
    """All answers in a list.

    Args:
        ask: called with a number; what it returns is under way.
        answer: called with that, later; returns the answer.
    """
    answers, under_way = [], deque()
    for number in range(count):
        if len(under_way) == WINDOW:
            answers.append(answer(under_way.popleft()))
        under_way.append(ask(number))
    answers.extend(map(answer, under_way))
    return answers
