# SPDX-License-Identifier: Apache-2.0
"""message.py send|receive PORT TEXT: one durable message by Proton's blocking client, from outside
the container. `receive` fails when nothing comes within 10 s, or something else does."""

import sys

from proton import Message
from proton.utils import BlockingConnection

verb, port, text = sys.argv[1:]
connection = BlockingConnection("127.0.0.1:" + port, timeout=10)
if verb == "send":
    connection.create_sender("proof").send(Message(body=text, durable=True))
else:
    receiver = connection.create_receiver("proof")
    message = receiver.receive(timeout=10)
    if message.body != text:
        sys.exit("expected " + repr(text) + ", came " + repr(message.body))
    receiver.accept()
connection.close()
