// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	amqp "github.com/Azure/go-amqp"
)

var outcomeCases = []testCase{
	{"accepted: the message is gone", accepted},
	{"rejected: the message is gone", rejected},
	{"released: it comes back in its place, its delivery-count as it was", released},
	{"modified: delivery-count and annotations are changed", modified},
	{"modified undeliverable-here: another link gets it", undeliverableHere},
	{"receiver settle mode second: each outcome is confirmed by the broker", second},
	{"a sender that asks for receiver settle mode second gets it", senderSecond},
	{"outcomes for producers: accepted, rejected with its condition, released", forProducers},
	{"what a lost connection held comes back", lostConnection},
	{"drain: of an empty queue, behind messages, and again", drained},
	{"credit is kept: no more come than were granted", credited},
}

// held puts messages into a fresh queue and takes them, unsettled, by a receiver that then has no
// credit.
func (e *env) held(address string, count int, options *amqp.ReceiverOptions) (
	*amqp.Session, *amqp.Receiver, []*amqp.Message) {
	session := e.session()
	to := e.sender(session, address, nil)
	for i := range count {
		e.put(to, number(i))
	}
	if options == nil {
		options = &amqp.ReceiverOptions{}
	}
	options.Credit = -1
	from := e.receiver(session, address, options)
	ok(from.IssueCredit(uint32(count)), "credit")
	var got []*amqp.Message
	for i := range count {
		one := e.receive(from)
		checkEqual(one.Value, int64(i), "body")
		checkEqual(header(one).DeliveryCount, uint32(0), "delivery-count")
		got = append(got, one)
	}
	return session, from, got
}

func accepted(e *env) {
	session, from, got := e.held("go-accepted", 1, nil)
	ok(from.AcceptMessage(e.ctx, got[0]), "accept")
	e.closeAndExpectEmpty(session, from)
}

func rejected(e *env) {
	session, from, got := e.held("go-rejected", 1, nil)
	why := &amqp.Error{Condition: "app:no", Description: "not this one",
		Info: map[string]any{"more": int64(1)}}
	ok(from.RejectMessage(e.ctx, got[0], why), "reject")
	e.closeAndExpectEmpty(session, from)
}

func released(e *env) {
	_, from, got := e.held("go-released", 3, nil)
	for i := range got {
		ok(from.ReleaseMessage(e.ctx, got[len(got)-1-i]), "release")
	}
	ok(from.IssueCredit(3), "credit")
	for i := range got {
		again := e.receive(from)
		checkEqual(again.Value, int64(i), "the order after the release")
		checkEqual(header(again).DeliveryCount, uint32(0), "delivery-count")
		checkEqual(header(again).FirstAcquirer, false, "first-acquirer")
		ok(from.AcceptMessage(e.ctx, again), "accept")
	}
}

func modified(e *env) {
	_, from, got := e.held("go-modified", 1, nil)
	ok(from.ModifyMessage(e.ctx, got[0], &amqp.ModifyMessageOptions{DeliveryFailed: true,
		Annotations: amqp.Annotations{"x-opt-why": "tired"}}), "modify")
	ok(from.IssueCredit(2), "credit")
	again := e.receive(from)
	checkEqual(header(again).DeliveryCount, uint32(1), "delivery-count")
	checkEqual(again.Annotations, amqp.Annotations{"x-opt-why": "tired"}, "annotations")
	ok(from.ModifyMessage(e.ctx, again, nil), "modify")
	again = e.receive(from)
	checkEqual(header(again).DeliveryCount, uint32(1), "delivery-count after a mere modified")
	ok(from.AcceptMessage(e.ctx, again), "accept")
}

func undeliverableHere(e *env) {
	session, from, got := e.held("go-undeliverable", 1, nil)
	ok(from.ModifyMessage(e.ctx, got[0], &amqp.ModifyMessageOptions{DeliveryFailed: true,
		UndeliverableHere: true}), "modify")
	e.put(e.sender(session, "go-undeliverable", nil), text("next"))
	ok(from.IssueCredit(1), "credit")
	checkEqual(e.receive(from).Value, "next", "what comes to the link that refused the first")
	other := e.receiver(session, "go-undeliverable", nil)
	again := e.receive(other)
	checkEqual(again.Value, int64(0), "what comes to another link")
	checkEqual(header(again).DeliveryCount, uint32(1), "delivery-count")
}

func second(e *env) {
	mode := amqp.ReceiverSettleModeSecond
	session, from, got := e.held("go-second", 4, &amqp.ReceiverOptions{SettlementMode: &mode})
	// Each call returns only when the broker has settled.
	ok(from.AcceptMessage(e.ctx, got[0]), "accept")
	ok(from.RejectMessage(e.ctx, got[1], &amqp.Error{Condition: "app:no"}), "reject")
	ok(from.ReleaseMessage(e.ctx, got[2]), "release")
	ok(from.ModifyMessage(e.ctx, got[3], &amqp.ModifyMessageOptions{DeliveryFailed: true}), "modify")
	ok(from.IssueCredit(2), "credit")
	for i, count := range []uint32{0, 1} {
		again := e.receive(from)
		checkEqual(again.Value, int64(i+2), "what comes again")
		checkEqual(header(again).DeliveryCount, count, "its delivery-count")
		ok(from.AcceptMessage(e.ctx, again), "accept")
	}
	e.closeAndExpectEmpty(session, from)
}

func senderSecond(e *env) {
	session := e.session()
	unsettled, mode := amqp.SenderSettleModeUnsettled, amqp.ReceiverSettleModeSecond
	to := e.sender(session, "go-sender-second", &amqp.SenderOptions{
		SettlementMode: &unsettled, RequestedReceiverSettleMode: &mode})
	for i := range 20 {
		message := number(i)
		message.Header = &amqp.MessageHeader{Durable: i%2 == 0}
		e.put(to, message)
	}
	e.expectNumbers(e.receiver(session, "go-sender-second", nil), 20)
}

func forProducers(e *env) {
	session := e.session()
	anonymous := e.sender(session, "", nil)
	good := text("x")
	good.Properties = &amqp.MessageProperties{To: ptr("go-anonymous")}
	e.put(anonymous, good)
	bad := text("x")
	bad.Properties = &amqp.MessageProperties{To: ptr("/queues/go-no-such")}
	state, is := e.outcome(anonymous, bad).(*amqp.StateRejected)
	check(is && state.Error != nil, "an unknown path was not rejected with an error: %+v", state)
	checkEqual(state.Error.Condition, amqp.ErrCondNotFound, "why")
	var condition *amqp.Error
	err := anonymous.Send(e.ctx, bad, nil)
	check(errors.As(err, &condition), "Send returned %v", err)
	checkEqual(condition.Condition, amqp.ErrCondNotFound, "why")
	exchange := e.sender(session, "/exchanges/amq.direct/nobody", nil)
	_, is = e.outcome(exchange, text("x")).(*amqp.StateReleased)
	check(is, "a message without a route was not released")
	got := e.receive(e.receiver(session, "go-anonymous", nil))
	checkEqual(got.Properties.To, ptr("go-anonymous"), "`to` as it was sent")
}

func lostConnection(e *env) {
	e.held("go-lost", 3, nil)
	e.conns[0].Close()
	session := e.session()
	from := e.receiver(session, "go-lost", nil)
	for i := range 3 {
		got := e.receive(from)
		checkEqual(got.Value, int64(i), "body")
		checkEqual(header(got).DeliveryCount, uint32(1), "delivery-count")
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
}

// go-amqp drains with a link-credit of 0: nothing more may come, and the answer must.
func drained(e *env) {
	session := e.session()
	from := e.receiver(session, "go-drain", &amqp.ReceiverOptions{Credit: -1})
	ok(from.DrainCredit(e.ctx, nil), "drain without any credit")
	to := e.sender(session, "go-drain", nil)
	next := 0
	for range 3 {
		ok(from.IssueCredit(10), "credit")
		for range 3 {
			e.put(to, number(next))
			got := e.receive(from)
			checkEqual(got.Value, int64(next), "body")
			ok(from.AcceptMessage(e.ctx, got), "accept")
			next++
		}
		ok(from.DrainCredit(e.ctx, nil), "drain")
		e.put(to, text("after the drain"))
		check(from.Prefetched() == nil, "a message came without credit")
		other := e.receiver(session, "go-drain", nil)
		got := e.receive(other)
		checkEqual(got.Value, "after the drain", "what another link gets")
		ok(other.AcceptMessage(e.ctx, got), "accept")
		ok(other.Close(e.ctx), "close")
	}
}

func credited(e *env) {
	session := e.session()
	to := e.sender(session, "go-credit", nil)
	for i := range 10 {
		e.put(to, number(i))
	}
	from := e.receiver(session, "go-credit", &amqp.ReceiverOptions{Credit: -1})
	ok(from.IssueCredit(4), "credit")
	for i := range 4 {
		checkEqual(e.receive(from).Value, int64(i), "body")
	}
	other := e.receiver(session, "go-credit", &amqp.ReceiverOptions{Credit: 6})
	for i := range 6 {
		checkEqual(e.receive(other).Value, int64(i+4), "body of another link")
	}
	check(from.Prefetched() == nil, "a message came without credit")
}
