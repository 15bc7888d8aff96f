// SPDX-License-Identifier: Apache-2.0
// Qpid JMS against the broker.

import java.util.Map;

public final class Main {
  public static void main(String[] arguments) {
    Interop.main(Map.of("jms-messages", JmsMessageCases.CASES,
        "jms-destinations", JmsDestinationCases.CASES, "jms-topics", JmsTopicCases.CASES,
        "jms-login", JmsLoginCases.LOGIN, "jms-restart", JmsLoginCases.RESTART), "",
        arguments);
  }

  private Main() {}
}
