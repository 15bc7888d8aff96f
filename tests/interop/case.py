# SPDX-License-Identifier: Apache-2.0
"""What a case written in Python is, and what it is given."""
import itertools

from broker_process import Broker
from peer import Peer

_numbers = itertools.count(1)


class Case:
    def __init__(self, run, name, config, alone):
        self.run = run
        self.name = name
        self.config = config  # text of the configuration file, or a function of the binary
        self.alone = alone or bool(config)  # needs a broker that nobody else uses


def collector():
    """A list of cases, and the decorator that fills it in the order of the file."""
    cases = []

    def case(name, config="", alone=False):
        def add(run):
            cases.append(Case(run, name, config, alone))
            return run
        return add

    return cases, case


class Environment:
    """A running broker, and what a case makes in it. Addresses are new for each case."""

    def __init__(self, broker, options):
        self.broker = broker
        self.options = options
        self.notes = []
        self._brokers = []

    @property
    def port(self):
        return self.broker.port

    def peer(self, **how):
        return Peer(self.port, **how)

    def address(self, stem="q"):
        return "%s-%d" % (stem, next(_numbers))

    def note(self, text):
        """A figure that stands behind the case's line."""
        self.notes.append(text)

    def another_broker(self, **how):
        """Not started; removed with the case."""
        broker = Broker(self.options.broker, self.broker.workers, **how)
        self._brokers.append(broker)
        return broker

    def end(self):
        for broker in self._brokers:
            broker.remove()
