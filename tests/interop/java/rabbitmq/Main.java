// SPDX-License-Identifier: Apache-2.0
// RabbitMQ's client against the broker.

import java.util.Map;

public final class Main {
  public static void main(String[] arguments) {
    // A consumer of theirs says this of its own connection, when that is closed over its head.
    String ownState = ".*Error in close handler: Resource is not open, current state is CLOSING";
    Interop.main(Map.of("rabbitmq", RabbitCases.CASES, "rabbitmq-restart", RabbitCases.RESTART),
        ownState, arguments);
  }

  private Main() {}
}
