"""What the measuring process asks of each contender."""


class Remote:
    """Another Python that was started for it, on this machine; ready for its first call.

    Attributes:
        unable: why it cannot do some of the workloads.
    """

    unable = {}  # noqa: RUF012 - never changed

    @staticmethod
    def prepare():
        """Import what is needed to start one."""

    def add(self, left, right):
        """The sum, made there."""
        raise NotImplementedError

    def adder(self):
        """What calls it with the least of its own; ``add`` if that does."""
        return self.add

    def echo(self, value):
        """A bytes or an array, there and back."""
        raise NotImplementedError

    echo_array = None
    """As ``echo`` where arrays need another way; None where not."""

    def mapped(self, count):
        """The sums of 0 + 0, 1 + 1, ... in a list, in as few messages as it offers."""
        raise NotImplementedError

    def submitted(self, count):
        """The same with a message for each, sent without waiting for its answer."""
        raise NotImplementedError

    def appender(self):
        """``append`` of a list that is there."""
        raise NotImplementedError

    def process(self):
        """The number of the process there."""
        raise NotImplementedError

    def close(self):
        """End it."""
        raise NotImplementedError
