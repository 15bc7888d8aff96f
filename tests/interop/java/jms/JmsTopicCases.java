// SPDX-License-Identifier: Apache-2.0
// Qpid JMS: topics and subscriptions of every kind.

import jakarta.jms.Connection;
import jakarta.jms.InvalidClientIDException;
import jakarta.jms.InvalidDestinationException;
import jakarta.jms.JMSException;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.List;
import java.util.TreeSet;

final class JmsTopicCases {
  static final List<Interop.Case> CASES = List.of(
      new Interop.Case("topic: a copy for each, nothing for who comes late", JmsTopicCases::copies),
      new Interop.Case("no-local: own messages do not come", JmsTopicCases::noLocal),
      new Interop.Case("no-local on a durable subscription", JmsTopicCases::durableNoLocal),
      new Interop.Case("durable: collects while away", JmsTopicCases::durable),
      new Interop.Case("durable: another selector is another subscription",
          JmsTopicCases::durableChanged),
      new Interop.Case("durable: one consumer at a time", JmsTopicCases::durableBusy),
      new Interop.Case("unsubscribe: ends it; refused when unknown or in use",
          JmsTopicCases::unsubscribe),
      new Interop.Case("shared: consumers of a connection divide", JmsTopicCases::shared),
      new Interop.Case("shared: global, without a client ID", JmsTopicCases::sharedGlobal),
      new Interop.Case("a client ID in use is an exception, and free again after close",
          JmsTopicCases::clientIdInUse),
      new Interop.Case("shared durable: divides, collects, unsubscribes",
          JmsTopicCases::sharedDurable),
      new Interop.Case("shared durable global: connections without a client ID",
          JmsTopicCases::sharedDurableGlobal));

  private static void copies(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Topic topic = session.createTopic("jms-copies");
    MessageConsumer one = session.createConsumer(topic);
    MessageConsumer two = Jms.session(env).createConsumer(topic);
    MessageConsumer chosen = session.createConsumer(topic, "JMSPriority = 9");
    MessageProducer to = session.createProducer(topic);
    to.send(session.createTextMessage("a"));
    to.setPriority(9);
    to.send(session.createTextMessage("b"));
    Jms.expect(one, "a", "b");
    Jms.expect(two, "a", "b");
    Jms.expect(chosen, "b");
    MessageConsumer late = session.createConsumer(topic);
    Jms.expectNone(late, "what a late consumer gets");
    to.send(session.createTextMessage("c"));
    Jms.expect(late, "c");
  }

  private static void noLocal(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env);
    Session session = Jms.session(connection);
    Topic topic = session.createTopic("jms-no-local");
    MessageConsumer from = session.createConsumer(topic, null, true);
    MessageConsumer all = session.createConsumer(topic);
    Session other = Jms.session(env);
    Jms.send(session, topic, "own");
    Jms.send(other, topic, "other");
    Jms.expect(all, "own", "other");
    Jms.expect(from, "other");
    Jms.expectNone(from, "own messages");
  }

  private static void durableNoLocal(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-no-local");
    Session session = Jms.session(connection);
    Topic topic = session.createTopic("jms-durable-no-local");
    MessageConsumer from = session.createDurableSubscriber(topic, "quiet", null, true);
    Jms.send(session, topic, "own");
    Jms.send(Jms.session(env), topic, "other");
    Jms.expect(from, "other");
    Jms.expectNone(from, "own messages");
    from.close();
    session.unsubscribe("quiet");
  }

  /** The client warns of the end of the transport, which follows the refusal. */
  private static void clientIdInUse(Interop.Env env) throws Exception {
    Interop.expectComplaints(".*JmsConnection.* has failed due to: Transport connection.*");
    for (int i = 0; i < 5; i++) {
      Connection first = Jms.connect(env, "", "jms-only-one");
      Interop.expect(InvalidClientIDException.class, () -> Jms.connect(env, "", "jms-only-one"),
          "a client ID in use");
      Jms.session(first).createTemporaryQueue();
      first.close();
    }
  }

  private static void durable(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-durable");
    Session session = Jms.session(connection);
    Topic topic = session.createTopic("jms-durable");
    Session publisher = Jms.session(env);
    MessageConsumer from = session.createDurableConsumer(topic, "news");
    Jms.send(publisher, topic, "a");
    Jms.expect(from, "a");
    from.close();
    Jms.send(publisher, topic, "b");
    from = session.createDurableConsumer(topic, "news");
    Jms.expect(from, "b");
    connection.close();
    Jms.send(publisher, topic, "c");
    Session again = Jms.session(Jms.connect(env, "", "jms-durable"));
    from = again.createDurableConsumer(topic, "news");
    Jms.expect(from, "c");
    // The name is another one for another client.
    Session stranger = Jms.session(Jms.connect(env, "", "jms-stranger"));
    MessageConsumer strangers = stranger.createDurableConsumer(topic, "news");
    Jms.send(publisher, topic, "d");
    Jms.expect(from, "d");
    Jms.expect(strangers, "d");
    from.close();
    strangers.close();
    again.unsubscribe("news");
    stranger.unsubscribe("news");
  }

  private static void durableChanged(Interop.Env env) throws Exception {
    Session session = Jms.session(Jms.connect(env, "", "jms-changed"));
    Topic topic = session.createTopic("jms-changed");
    Topic other = session.createTopic("jms-changed-other");
    MessageConsumer from = session.createDurableConsumer(topic, "s", "JMSPriority > 4", false);
    from.close();
    MessageProducer to = session.createProducer(topic);
    to.setPriority(9);
    to.send(session.createTextMessage("lost with the first subscription"));
    from = session.createDurableConsumer(topic, "s", "JMSPriority < 4", false);
    to.send(session.createTextMessage("not chosen"));
    to.setPriority(1);
    to.send(session.createTextMessage("chosen"));
    Jms.expect(from, "chosen");
    Jms.expectNone(from, "what else there is");
    from.close();
    to.send(session.createTextMessage("lost with the second subscription"));
    from = session.createDurableConsumer(other, "s");
    Jms.send(session, topic, "elsewhere");
    Jms.send(session, other, "here");
    Jms.expect(from, "here");
    from.close();
    session.unsubscribe("s");
  }

  private static void durableBusy(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-busy");
    Session session = Jms.session(connection);
    Topic topic = session.createTopic("jms-busy");
    MessageConsumer from = session.createDurableConsumer(topic, "s");
    Interop.expect(JMSException.class,
        () -> Jms.session(connection).createDurableConsumer(topic, "s"), "a second consumer");
    Jms.send(session, topic, "a");
    Jms.expect(from, "a");
    from.close();
    session.unsubscribe("s");
  }

  private static void unsubscribe(Interop.Env env) throws Exception {
    Session session = Jms.session(Jms.connect(env, "", "jms-unsubscribe"));
    Topic topic = session.createTopic("jms-unsubscribe");
    Interop.expect(InvalidDestinationException.class, () -> session.unsubscribe("never"),
        "a subscription that is not there");
    MessageConsumer from = session.createDurableConsumer(topic, "s");
    Interop.expect(JMSException.class, () -> session.unsubscribe("s"), "one that is in use");
    Jms.send(session, topic, "a");
    Jms.expect(from, "a");
    from.close();
    Jms.send(session, topic, "b");
    session.unsubscribe("s");
    Interop.expect(InvalidDestinationException.class, () -> session.unsubscribe("s"),
        "once more");
    from = session.createDurableConsumer(topic, "s");
    Jms.expectNone(from, "what the ended subscription had collected");
    Jms.send(session, topic, "c");
    Jms.expect(from, "c");
    from.close();
    session.unsubscribe("s");
  }

  /** Twenty messages: each comes to one of two consumers. */
  private static void divided(Session publisher, Topic topic, MessageConsumer... from)
      throws Exception {
    for (int i = 0; i < 20; i++) Jms.send(publisher, topic, "" + i);
    TreeSet<Integer> all = new TreeSet<>();
    int[] count = new int[from.length];
    Interop.await(() -> {
      for (int i = 0; i < from.length; i++) {
        TextMessage got = (TextMessage) from[i].receiveNoWait();
        if (got == null) continue;
        count[i]++;
        Interop.check(all.add(Integer.parseInt(got.getText())), got.getText() + " came twice");
      }
      return all.size() == 20;
    }, "20 messages");
    for (int i = 0; i < from.length; i++) {
      Interop.check(count[i] > 0, "a consumer got nothing");
      Jms.expectNone(from[i], "more than was sent");
    }
  }

  private static void shared(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-shared");
    Session one = Jms.session(connection);
    Session two = Jms.session(connection);
    Topic topic = one.createTopic("jms-shared");
    MessageConsumer alone = two.createConsumer(topic);
    MessageConsumer a = one.createSharedConsumer(topic, "s");
    MessageConsumer b = two.createSharedConsumer(topic, "s");
    divided(Jms.session(env), topic, a, b);
    for (int i = 0; i < 20; i++) Jms.expect(alone, "" + i);
    a.close();
    Jms.send(one, topic, "to b");
    Jms.expect(b, "to b");
    b.close();
    Jms.send(one, topic, "to nobody");
    Jms.expectNone(one.createSharedConsumer(topic, "s"), "a subscription that had ended");
  }

  private static void sharedGlobal(Interop.Env env) throws Exception {
    Session one = Jms.session(env);
    Session two = Jms.session(env);
    Topic topic = one.createTopic("jms-shared-global");
    MessageConsumer a = one.createSharedConsumer(topic, "s");
    MessageConsumer b = two.createSharedConsumer(topic, "s");
    Session client = Jms.session(Jms.connect(env, "", "jms-shared-global"));
    MessageConsumer other = client.createSharedConsumer(topic, "s");
    divided(Jms.session(env), topic, a, b);
    for (int i = 0; i < 20; i++) Jms.expect(other, "" + i);
  }

  private static void sharedDurable(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env, "", "jms-shared-durable");
    Session one = Jms.session(connection);
    Session two = Jms.session(connection);
    Topic topic = one.createTopic("jms-shared-durable");
    Session publisher = Jms.session(env);
    MessageConsumer a = one.createSharedDurableConsumer(topic, "s");
    MessageConsumer b = two.createSharedDurableConsumer(topic, "s");
    divided(publisher, topic, a, b);
    a.close();
    Interop.expect(JMSException.class, () -> one.unsubscribe("s"), "while the other reads");
    b.close();
    Jms.send(publisher, topic, "kept");
    connection.close();
    Session again = Jms.session(Jms.connect(env, "", "jms-shared-durable"));
    MessageConsumer c = again.createSharedDurableConsumer(topic, "s");
    Jms.expect(c, "kept");
    c.close();
    again.unsubscribe("s");
    Interop.expect(InvalidDestinationException.class, () -> again.unsubscribe("s"), "once more");
  }

  private static void sharedDurableGlobal(Interop.Env env) throws Exception {
    Connection first = Jms.connect(env);
    Session one = Jms.session(first);
    Session two = Jms.session(env);
    Topic topic = one.createTopic("jms-durable-global");
    Session publisher = Jms.session(env);
    MessageConsumer a = one.createSharedDurableConsumer(topic, "s");
    MessageConsumer b = two.createSharedDurableConsumer(topic, "s");
    divided(publisher, topic, a, b);
    first.close();
    b.close();
    Jms.send(publisher, topic, "kept");
    Session three = Jms.session(env);
    MessageConsumer c = three.createSharedDurableConsumer(topic, "s");
    Jms.expect(c, "kept");
    c.close();
    three.unsubscribe("s");
    Interop.expect(InvalidDestinationException.class, () -> three.unsubscribe("s"), "once more");
  }

  private JmsTopicCases() {}
}
