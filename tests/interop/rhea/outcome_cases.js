// SPDX-License-Identifier: Apache-2.0
// Outcomes in both directions, settlement, drain, browsing and refusals, through rhea.
'use strict';

const {message, check, check_equal, connect, drain, event, outcome, pause, put, receive,
    receiver, run, sender} = require('./harness.js');

/** A connection, a queue with `count` messages, and a receiver that was given them all. */
async function held(port, address, count = 1, options = {}) {
    const connection = await connect(port);
    const to = await sender(connection, address);
    for (let i = 0; i < count; i++) await put(to, {body: i, durable: i % 2 === 0});
    const link = await receiver(connection, address, options);
    link.add_credit(count);
    return {connection, to, link, got: count === 1 ? [await receive(link)]
        : await receive(link, count)};
}

async function is_empty(connection, address) {
    const link = await receiver(connection, address);
    return (await drain(link)).length === 0;
}

const settled = (link, context) => event(link, 'settled', 'our outcome settled');

async function accepted(port) {
    const {connection, link, got} = await held(port, 'rhea-accept');
    check_equal(got[0].message.delivery_count || 0, 0, 'delivery-count');
    check_equal(got[0].message.first_acquirer, true, 'first-acquirer');
    const answer = settled(link);
    got[0].delivery.update(false, message.accepted().described());
    await answer;
    got[0].delivery.update(true);
    check(await is_empty(connection, 'rhea-accept'), 'an accepted message was still there');
}

async function rejected(port) {
    const {connection, got} = await held(port, 'rhea-reject');
    got[0].delivery.reject({condition: 'app:no', description: 'not this one'});
    check(await is_empty(connection, 'rhea-reject'), 'a rejected message was still there');
}

async function released(port) {
    const {link, got} = await held(port, 'rhea-release', 3);
    for (const one of got.reverse()) one.delivery.release();
    link.add_credit(3);
    const again = await receive(link, 3);
    check_equal(again.map((one) => one.message.body), [0, 1, 2], 'order after the release');
    for (const one of again) {
        check_equal(one.message.delivery_count || 0, 0, 'delivery-count');
        check_equal(one.message.first_acquirer || false, false, 'first-acquirer');
        one.delivery.accept();
    }
}

async function modified(port) {
    const {link, got} = await held(port, 'rhea-modify');
    got[0].delivery.modified({delivery_failed: true, message_annotations: {'x-opt-why': 'tired'}});
    link.add_credit(1);
    const again = await receive(link);
    check_equal(again.message.delivery_count, 1, 'delivery-count');
    check_equal(again.message.message_annotations, {'x-opt-why': 'tired'}, 'annotations');
    again.delivery.accept();
}

async function undeliverable_here(port) {
    const {connection, link, got} = await held(port, 'rhea-undeliverable');
    got[0].delivery.modified({delivery_failed: true, undeliverable_here: true});
    link.add_credit(1);
    await pause(200);
    check_equal(link.inbox.length, 0, 'deliveries to the link that refused it');
    const other = await receiver(connection, 'rhea-undeliverable');
    other.add_credit(1);
    check_equal((await receive(other)).message.delivery_count, 1, 'delivery-count');
}

/** What the loss of a link makes of a message, by the source's default-outcome. */
async function lost_link(port, address, default_outcome, expected) {
    const source = {address, default_outcome};
    if (!default_outcome) delete source.default_outcome;
    const {connection, link} = await held(port, address, 1, {source});
    link.close();
    await event(link, 'receiver_close', 'the answer to detach');
    const other = await receiver(connection, address);
    other.add_credit(1);
    check_equal((await receive(other)).message.delivery_count || 0, expected, 'delivery-count');
}

async function per_message(port) {
    const connection = await connect(port);
    const anonymous = await sender(connection, {});
    const good = outcome(anonymous, anonymous.send({to: 'rhea-anonymous', body: 'x'}));
    const delivery = anonymous.send({to: '/queues/rhea-no-such', body: 'x'});
    const bad = outcome(anonymous, delivery);
    check_equal(await good, 'accepted', 'a name that auto-create makes');
    check_equal(await bad, 'rejected', 'an unknown canonical path');
    check_equal(delivery.remote_state.error.condition, 'amqp:not-found', 'why');
    const named = await receiver(connection, 'rhea-anonymous');
    named.add_credit(1);
    check_equal((await receive(named)).message.to, 'rhea-anonymous', '`to` as it was sent');
}

async function settled_both_ways(port) {
    const connection = await connect(port);
    const to = await sender(connection, 'rhea-settled', {snd_settle_mode: 1});
    for (let i = 0; i < 100; i++) to.send({body: i});
    const link = await receiver(connection, 'rhea-settled', {snd_settle_mode: 1});
    link.add_credit(100);
    const got = await receive(link, 100);
    check_equal(got.map((one) => one.message.body), [...Array(100).keys()], 'bodies');
    check(got.every((one) => one.delivery.remote_settled), 'a delivery came unsettled');
}

async function second_mode(port) {
    const connection = await connect(port);
    const to = connection.open_sender(
        {target: 'rhea-second', rcv_settle_mode: 1, autosettle: false});
    await event(to, 'sendable');
    check_equal(to.rcv_settle_mode, 1, 'the mode in force for our messages');
    const delivery = to.send({body: 'x', durable: true});
    await event(to, 'accepted');
    check_equal(delivery.remote_settled, false, 'whether the broker settled before us');
    delivery.update(true);
    const link = await receiver(connection, 'rhea-second', {rcv_settle_mode: 1});
    link.add_credit(1);
    const got = await receive(link);
    const answer = settled(link);
    got.delivery.accept();  // unsettled in this mode
    await answer;
    got.delivery.update(true);
}

async function drained(port) {
    const {connection, to} = await held(port, 'rhea-drain-other');
    const link = await receiver(connection, 'rhea-drain');
    check_equal((await drain(link, 10)).length, 0, 'messages of an empty queue');
    check_equal(link.credit, 0, 'credit after drain');
    const filled = await sender(connection, 'rhea-drain');
    await put(filled, {body: 1}, {body: 2}, {body: 3});
    check_equal((await drain(link, 10)).map((one) => one.message.body), [1, 2, 3], 'what came');
    check_equal(link.credit, 0, 'credit after drain');
    check_equal(to.is_open(), true, 'the other link');
}

async function browsed(port) {
    const connection = await connect(port);
    const to = await sender(connection, 'rhea-browse');
    await put(to, {body: 1}, {body: 2});
    for (let i = 0; i < 2; i++) {
        const link = await receiver(connection,
            {address: 'rhea-browse', distribution_mode: 'copy'});
        const got = await drain(link);
        check_equal(got.map((one) => one.message.body), [1, 2], 'what the browser saw');
        for (const one of got) one.delivery.accept();
        link.close();
    }
    const link = await receiver(connection, 'rhea-browse');
    check_equal((await drain(link)).length, 2, 'what is still there');
}

async function refused(port) {
    const connection = await connect(port);
    const rows = [['/queues/rhea-none', 'amqp:not-found'], ['/exchanges/none', 'amqp:not-found'],
        ['/streams/s', 'amqp:not-implemented']];
    for (const [address, condition] of rows) {
        const consumer = connection.open_receiver({source: address, credit_window: 0});
        await event(consumer, 'receiver_error', 'the refusal');
        check_equal(consumer.error.condition, condition, address);
        check_equal(consumer.source, null, 'source of the reply to attach');
        const producer = connection.open_sender({target: address});
        await event(producer, 'sender_error', 'the refusal');
        check_equal(producer.error.condition, condition, address);
        check_equal(producer.target, null, 'target of the reply to attach');
    }
}

const with_outcome = (make) => make().described();

run([
    ['accept: gone, our outcome is settled', accepted],
    ['reject: gone', rejected],
    ['release: comes again, in its place', released],
    ['modify: delivery-failed and annotations', modified],
    ['modify: undeliverable-here', undeliverable_here],
    ['a lost link without default-outcome counts as a failed delivery',
        (port) => lost_link(port, 'rhea-lost-1', undefined, 1)],
    ['a lost link with default-outcome released does not count',
        (port) => lost_link(port, 'rhea-lost-2', with_outcome(message.released), 0)],
    ['a lost link with default-outcome modified(delivery-failed) counts',
        (port) => lost_link(port, 'rhea-lost-3',
            message.modified({delivery_failed: true}).described(), 1)],
    ['anonymous terminus: one outcome a message', per_message],
    ['settled both ways', settled_both_ways],
    ['receiver-settle-mode second both ways', second_mode],
    ['drain leaves no credit, and rhea has no complaint', drained],
    ['browsing leaves the messages', browsed],
    ['refused links: null terminus, then the error', refused],
]);
