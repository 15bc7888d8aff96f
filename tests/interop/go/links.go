// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	amqp "github.com/Azure/go-amqp"
)

var linkCases = []testCase{
	{"request and reply by a dynamic receiver", requestReply},
	{"a temporary queue goes with its link", temporaryGone},
	{"a dynamic sender", dynamicSender},
	{"selector: what is chosen comes, and the filter is echoed", selector},
	{"selector: one that is wrong refuses the link", wrongSelector},
	{"browsing leaves the messages, and stays for new ones", browsing},
	{"a refused link ends with its condition, the session lives on", refused},
	{"topic: a copy for each", topic},
	{"subscription: durable, collects while away, ends by closing", durableSubscription},
	{"20 sessions with 10 links each on one connection", manyLinks},
	{"a link is closed and opened again by the same name", sameName},
	{"idle-time-out: a quiet connection is kept alive", idle},
}

func requestReply(e *env) {
	const requests = 50
	client, service := e.session(), e.session()
	failed := make(chan error, 1)
	ask := e.receiver(service, "go-service", &amqp.ReceiverOptions{Credit: 10})
	answers := e.receiver(client, "", &amqp.ReceiverOptions{DynamicAddress: true, Credit: 10})
	check(answers.Address() != "", "a dynamic receiver has no address")
	go func() { failed <- serve(e, service, ask, requests) }()
	to := e.sender(client, "go-service", nil)
	for i := range requests {
		question := number(i)
		question.Properties = &amqp.MessageProperties{MessageID: uint64(i),
			ReplyTo: ptr(answers.Address())}
		e.put(to, question)
		got := e.receive(answers)
		checkEqual(got.Value, int64(2*i), "the answer")
		checkEqual(got.Properties.CorrelationID, uint64(i), "correlation-id")
		ok(answers.AcceptMessage(e.ctx, got), "accept")
	}
	ok(<-failed, "the service")
}

// serve answers each request, through a sender of its own for each reply-to.
func serve(e *env, session *amqp.Session, ask *amqp.Receiver, requests int) error {
	var reply *amqp.Sender
	for range requests {
		question, err := ask.Receive(e.ctx, nil)
		if err != nil {
			return err
		}
		if reply == nil {
			reply, err = session.NewSender(e.ctx, *question.Properties.ReplyTo, nil)
			if err != nil {
				return err
			}
		}
		answer := number(2 * int(question.Value.(int64)))
		answer.Properties = &amqp.MessageProperties{CorrelationID: question.Properties.MessageID}
		if err = errors.Join(ask.AcceptMessage(e.ctx, question),
			reply.Send(e.ctx, answer, nil)); err != nil {
			return err
		}
	}
	return nil
}

// expectRefused wants the error of an attach to carry a condition.
func expectRefused(err error, expected amqp.ErrCond) {
	var condition *amqp.Error
	check(errors.As(err, &condition), "no condition, but %v", err)
	checkEqual(condition.Condition, expected, "why the link was refused")
}

func temporaryGone(e *env) {
	session, other := e.session(), e.session()
	from := e.receiver(session, "", &amqp.ReceiverOptions{DynamicAddress: true})
	address := from.Address()
	to := e.sender(other, address, nil)
	e.put(to, text("x"))
	checkEqual(e.receive(from).Value, "x", "body")
	_, err := other.NewReceiver(e.ctx, address, nil)
	check(err != nil, "another connection consumes from a temporary queue")
	ok(from.Close(e.ctx), "close")
	_, err = session.NewReceiver(e.ctx, "/queues/"+address, nil)
	expectRefused(err, amqp.ErrCondNotFound)
}

func dynamicSender(e *env) {
	session := e.session()
	to := e.sender(session, "", &amqp.SenderOptions{DynamicAddress: true})
	check(to.Address() != "", "a dynamic sender has no address")
	e.put(to, text("x"))
	checkEqual(e.receive(e.receiver(session, to.Address(), nil)).Value, "x", "body")
}

func selector(e *env) {
	session := e.session()
	to := e.sender(session, "go-selector", nil)
	for i := range 10 {
		message := number(i)
		message.ApplicationProperties = map[string]any{"i": int64(i), "odd": i%2 == 1}
		e.put(to, message)
	}
	const words = "odd = TRUE AND i > 2"
	from := e.receiver(session, "go-selector", &amqp.ReceiverOptions{
		Filters: []amqp.LinkFilter{amqp.NewSelectorFilter(words)}})
	checkEqual(from.LinkSourceFilterValue("apache.org:selector-filter:string"), words, "the echo")
	for _, expected := range []int64{3, 5, 7, 9} {
		got := e.receive(from)
		checkEqual(got.Value, expected, "what is chosen")
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
	ok(from.Close(e.ctx), "close")
	rest := e.receiver(session, "go-selector", nil)
	for _, expected := range []int64{0, 1, 2, 4, 6, 8} {
		got := e.receive(rest)
		checkEqual(got.Value, expected, "what is left")
		ok(rest.AcceptMessage(e.ctx, got), "accept")
	}
}

func wrongSelector(e *env) {
	session := e.session()
	_, err := session.NewReceiver(e.ctx, "go-wrong", &amqp.ReceiverOptions{
		Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("odd = = 1")}})
	expectRefused(err, amqp.ErrCondInvalidField)
	e.expectEmpty(session, "go-wrong", "the session after the refusal")
}

func browsing(e *env) {
	session := e.session()
	to := e.sender(session, "go-browse", nil)
	e.put(to, number(0), number(1))
	for range 2 {
		browser := e.receiver(session, "go-browse", &amqp.ReceiverOptions{Credit: 5,
			SourceDistributionMode: amqp.SourceDistributionModeCopy})
		for i := range 2 {
			got := e.receive(browser)
			checkEqual(got.Value, int64(i), "what is browsed")
			ok(browser.AcceptMessage(e.ctx, got), "accept")
		}
		ok(browser.Close(e.ctx), "close")
	}
	browser := e.receiver(session, "go-browse", &amqp.ReceiverOptions{Credit: 5,
		SourceDistributionMode: amqp.SourceDistributionModeCopy})
	e.put(to, number(2))
	for i := range 3 {
		checkEqual(e.receive(browser).Value, int64(i), "what is browsed")
	}
	e.expectNumbers(e.receiver(session, "go-browse", nil), 3)
}

func refused(e *env) {
	session := e.session()
	_, err := session.NewReceiver(e.ctx, "/queues/go-not-there", nil)
	expectRefused(err, amqp.ErrCondNotFound)
	_, err = session.NewSender(e.ctx, "/queues/go-not-there", nil)
	expectRefused(err, amqp.ErrCondNotFound)
	_, err = session.NewReceiver(e.ctx, "/streams/go-stream", nil)
	expectRefused(err, amqp.ErrCondNotImplemented)
	e.expectEmpty(session, "go-refused", "the session after the refusals")
}

func topic(e *env) {
	session, other := e.session(), e.session()
	receivers := []*amqp.Receiver{
		e.receiver(session, "/topics/go.a", nil), e.receiver(other, "topic://go.*", nil),
		e.receiver(session, "go.#", &amqp.ReceiverOptions{SourceCapabilities: []string{"topic"}}),
	}
	to := e.sender(session, "/topics/go.a", nil)
	e.put(to, number(0), number(1))
	for _, from := range receivers {
		e.expectNumbers(from, 2)
	}
}

func durableSubscription(e *env) {
	open := func(name string) (*amqp.Conn, *amqp.Session, *amqp.Receiver) {
		conn := must(e.dial(&amqp.ConnOptions{ContainerID: "go-reader"}))
		session := must(conn.NewSession(e.ctx, nil))
		return conn, session, e.receiver(session, "/topics/go-durable", &amqp.ReceiverOptions{
			Name: name, SourceDurability: amqp.DurabilityUnsettledState,
			SourceExpiryPolicy: amqp.ExpiryPolicyNever})
	}
	to := e.sender(e.session(), "/topics/go-durable", nil)
	conn, _, _ := open("news")
	ok(conn.Close(), "close")
	e.put(to, number(0), number(1))
	conn, session, from := open("news")
	e.expectNumbers(from, 2)
	ok(from.Close(e.ctx), "close of the link, which ends the subscription")
	e.put(to, number(7))
	from = e.receiver(session, "/topics/go-durable", &amqp.ReceiverOptions{Name: "news",
		SourceDurability: amqp.DurabilityUnsettledState, SourceExpiryPolicy: amqp.ExpiryPolicyNever})
	e.put(to, number(0))
	e.expectNumbers(from, 1)
	ok(from.Close(e.ctx), "close")
	ok(conn.Close(), "close")
}

func manyLinks(e *env) {
	conn := must(e.dial(nil))
	type pair struct {
		to   *amqp.Sender
		from *amqp.Receiver
	}
	var pairs []pair
	for s := range 20 {
		session := must(conn.NewSession(e.ctx, nil))
		for l := range 5 {
			address := fmt.Sprintf("go-many-%d-%d", s, l)
			pairs = append(pairs, pair{e.sender(session, address, nil),
				e.receiver(session, address, nil)})
		}
	}
	for i, one := range pairs {
		e.put(one.to, number(i))
	}
	for i, one := range pairs {
		got := e.receive(one.from)
		checkEqual(got.Value, int64(i), "body")
		ok(one.from.AcceptMessage(e.ctx, got), "accept")
	}
}

func sameName(e *env) {
	session := e.session()
	for i := range 50 {
		to := e.sender(session, "go-name", &amqp.SenderOptions{Name: "one"})
		from := e.receiver(session, "go-name", &amqp.ReceiverOptions{Name: "one"})
		e.put(to, number(i))
		got := e.receive(from)
		checkEqual(got.Value, int64(i), "body")
		ok(from.AcceptMessage(e.ctx, got), "accept")
		ok(to.Close(e.ctx), "close")
		ok(from.Close(e.ctx), "close")
	}
}

func idle(e *env) {
	conn := must(e.dial(&amqp.ConnOptions{IdleTimeout: 400 * time.Millisecond}))
	session := must(conn.NewSession(e.ctx, nil))
	select {
	case <-conn.Done():
		fail("the connection ended: %v", conn.Err())
	case <-time.After(1500 * time.Millisecond):
	}
	e.expectEmpty(session, "go-idle", "the queue")
}
