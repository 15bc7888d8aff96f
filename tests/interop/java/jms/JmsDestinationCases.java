// SPDX-License-Identifier: Apache-2.0
// Qpid JMS: temporary destinations, selectors, browsers.

import jakarta.jms.Connection;
import jakarta.jms.InvalidSelectorException;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TemporaryTopic;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.List;

final class JmsDestinationCases {
  static final List<Interop.Case> CASES = List.of(
      new Interop.Case("request and reply by a temporary queue",
          JmsDestinationCases::requestReply),
      new Interop.Case("a temporary queue is its connection's alone, and goes by delete",
          JmsDestinationCases::temporaryQueue),
      new Interop.Case("a temporary queue goes with its connection",
          JmsDestinationCases::temporaryGone),
      new Interop.Case("a temporary topic has a copy for each",
          JmsDestinationCases::temporaryTopic),
      new Interop.Case("selectors choose by properties and headers",
          JmsDestinationCases::selectors),
      new Interop.Case("a selector that is wrong is refused, the session lives on",
          JmsDestinationCases::wrongSelector),
      new Interop.Case("a browser sees all and takes nothing", JmsDestinationCases::browser),
      new Interop.Case("a browser with a selector", JmsDestinationCases::browserSelector),
      new Interop.Case("50 sessions with a producer and a consumer each",
          JmsDestinationCases::manySessions));

  private static void requestReply(Interop.Env env) throws Exception {
    Session service = Jms.session(env);
    Queue requests = service.createQueue("jms-service");
    MessageProducer replies = service.createProducer(null);
    service.createConsumer(requests).setMessageListener(question -> {
      try {
        Message answer = service.createTextMessage(((TextMessage) question).getText() + "!");
        answer.setJMSCorrelationID(question.getJMSMessageID());
        replies.send(question.getJMSReplyTo(), answer);
      } catch (JMSException failed) {
        throw new IllegalStateException(failed);
      }
    });
    Session client = Jms.session(env);
    TemporaryQueue own = client.createTemporaryQueue();
    MessageConsumer answers = client.createConsumer(own);
    MessageProducer to = client.createProducer(requests);
    for (int i = 0; i < 50; i++) {
      Message question = client.createTextMessage("" + i);
      question.setJMSReplyTo(own);
      to.send(question);
      Message answer = Jms.receive(answers);
      Interop.checkEqual(((TextMessage) answer).getText(), i + "!", "the answer");
      Interop.checkEqual(answer.getJMSCorrelationID(), question.getJMSMessageID(), "to what");
      Interop.checkEqual(answer.getJMSDestination(), own, "where it came");
    }
  }

  private static void temporaryQueue(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env);
    Session session = Jms.session(connection);
    TemporaryQueue own = session.createTemporaryQueue();
    Session other = Jms.session(env);
    Queue byName = other.createQueue(own.getQueueName());
    Jms.send(other, byName, "x");
    Interop.expect(JMSException.class, () -> other.createConsumer(byName),
        "another connection's consumer");
    MessageConsumer from = session.createConsumer(own);
    Jms.expect(from, "x");
    Interop.expect(JMSException.class, own::delete, "deleting it under a consumer");
    from.close();
    own.delete();
    Interop.expect(JMSException.class, () -> session.createConsumer(own), "after delete");
    Queue path = other.createQueue("/queues/" + own.getQueueName());
    Interop.expect(JMSException.class, () -> other.createProducer(path), "what is left of it");
  }

  private static void temporaryGone(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env);
    TemporaryQueue own = Jms.session(connection).createTemporaryQueue();
    Session other = Jms.session(env);
    Queue path = other.createQueue("/queues/" + own.getQueueName());
    other.createProducer(path).close();
    connection.close();
    Interop.expect(JMSException.class, () -> other.createProducer(path), "what is left of it");
  }

  private static void temporaryTopic(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    TemporaryTopic own = session.createTemporaryTopic();
    MessageConsumer one = session.createConsumer(own);
    MessageConsumer two = session.createConsumer(own);
    Session other = Jms.session(env);
    Jms.send(other, other.createTopic(own.getTopicName()), "x");
    Jms.send(session, own, "y");
    Jms.expect(one, "x", "y");
    Jms.expect(two, "x", "y");
    one.close();
    two.close();
    own.delete();
  }

  private static Message coloured(Session session, int number, String colour) throws JMSException {
    Message out = session.createTextMessage("" + number);
    out.setIntProperty("number", number);
    out.setStringProperty("colour", colour);
    return out;
  }

  private static void selectors(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-selectors");
    String[] colours = {"red", "green", "blue"};
    try (MessageProducer to = session.createProducer(queue)) {
      for (int i = 0; i < 12; i++) {
        Message message = coloured(session, i, colours[i % 3]);
        if (i == 4) message.setJMSCorrelationID("four");
        to.send(message);
      }
    }
    Object[][] rows = {
        {"colour = 'red' AND number > 3", new String[] {"6", "9"}},
        {"colour LIKE 'gr%' AND JMSCorrelationID IS NULL", new String[] {"1", "7", "10"}},
        {"JMSCorrelationID = 'four'", new String[] {"4"}},
        {"number BETWEEN 4 AND 6 OR colour IN ('none')", new String[] {"5"}},
        {"NOT (missing = 1) OR number * 2 + 1 = 1", new String[] {"0"}},
    };
    for (Object[] row : rows) {
      try (MessageConsumer from = session.createConsumer(queue, (String) row[0])) {
        Jms.expect(from, (String[]) row[1]);
        Jms.expectNone(from, "more for " + row[0]);
      }
    }
    Jms.expect(session.createConsumer(queue), "2", "3", "8", "11");
  }

  private static void wrongSelector(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-wrong");
    Interop.expect(InvalidSelectorException.class,
        () -> session.createConsumer(queue, "colour = = 1"), "the client's own look at it");
    // With validation off it is for the broker to refuse it.
    Session blind = Jms.session(Jms.connect(env, "jms.validateSelector=false", null));
    Interop.expect(JMSException.class, () -> blind.createConsumer(queue, "colour = = 1"),
        "the broker's look at it");
    Jms.send(blind, queue, "x");
    Jms.expect(blind.createConsumer(queue), "x");
  }

  private static List<String> browse(QueueBrowser browser) throws JMSException {
    List<String> out = new ArrayList<>();
    Enumeration<?> all = browser.getEnumeration();
    while (all.hasMoreElements()) out.add(((TextMessage) all.nextElement()).getText());
    return out;
  }

  private static void browser(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-browser");
    try (QueueBrowser browser = session.createBrowser(queue)) {
      Interop.checkEqual(browse(browser), List.of(), "an empty queue");
      Jms.send(session, queue, "a", "b", "c");
      for (int i = 0; i < 3; i++) {
        Interop.checkEqual(browse(browser), List.of("a", "b", "c"), "what is browsed");
      }
      Interop.checkEqual(browser.getQueue(), queue, "the queue");
    }
    MessageConsumer from = session.createConsumer(queue);
    Jms.expect(from, "a", "b", "c");
    Jms.expectNone(from, "what is left");
  }

  private static void browserSelector(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-browser-selector");
    try (MessageProducer to = session.createProducer(queue)) {
      for (int i = 0; i < 10; i++) to.send(coloured(session, i, i % 2 == 0 ? "red" : "green"));
    }
    try (QueueBrowser browser = session.createBrowser(queue, "colour = 'green' AND number < 6")) {
      Interop.checkEqual(browse(browser), List.of("1", "3", "5"), "what is browsed");
    }
    MessageConsumer from = session.createConsumer(queue);
    for (int i = 0; i < 10; i++) Jms.expect(from, "" + i);
  }

  private static void manySessions(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env);
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      Session session = Jms.session(connection);
      Queue queue = session.createQueue("jms-many-" + i % 10);
      consumers.add(session.createConsumer(queue));
      Jms.send(session, queue, "" + i);
    }
    int[] seen = {0};
    Interop.await(() -> {
      for (MessageConsumer each : consumers) seen[0] += each.receiveNoWait() == null ? 0 : 1;
      return seen[0] == 50;
    }, "50 messages");
  }

  private JmsDestinationCases() {}
}
