"""The standard library's multiprocessing.managers."""

from multiprocessing import get_context
from multiprocessing.managers import SyncManager

import far
from remote_kind import Remote


class Manager(SyncManager):
    """Of the usual kind, with a type more."""


Manager.register("Far", far.Far)


class Managers(Remote):
    """A manager's process, and proxies of what is there."""

    unable = {  # noqa: RUF012 - never changed
        "mapped": "its proxies wait for each answer",
        "submitted": "its proxies wait for each answer",
    }

    def __init__(self):
        self.manager = Manager(ctx=get_context("spawn"))
        self.manager.start()
        self.far = self.manager.Far()

    def add(self, left, right):
        return self.far.add(left, right)

    def adder(self):
        return self.far.add

    def echo(self, value):
        return self.far.echo(value)

    def appender(self):
        self.numbers = self.manager.list()
        return self.numbers.append

    def process(self):
        return self.manager._process.pid

    def close(self):
        self.manager.shutdown()
