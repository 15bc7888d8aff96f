// SPDX-License-Identifier: Apache-2.0
// Topics and subscriptions through rhea.
'use strict';

const rhea = require('rhea');
const {check, check_equal, connect, drain, event, outcome, pause, put, receive, receiver, run,
    sender, within} = require('./harness.js');

const lasting = (address) => ({address, durable: 2, expiry_policy: 'never'});
const bodies = (got) => got.map((one) => one.message.body);

async function accept_all(link, count) {
    const got = [].concat(await receive(link, count));
    for (const one of got) one.delivery.accept();
    return bodies(got);
}

async function copies(port) {
    const connection = await connect(port);
    const one = await receiver(connection, '/topics/rhea.a');
    const two = await receiver(connection, 'topic://rhea.*');
    const three = await receiver(connection, {address: 'rhea.#', capabilities: ['topic']});
    for (const link of [one, two, three]) link.add_credit(10);
    const to = await sender(connection, '/topics/rhea.a');
    await put(to, {body: 1, durable: true}, {body: 2});
    for (const link of [one, two, three]) check_equal(await accept_all(link, 2), [1, 2], 'a copy');
    await put(await sender(connection, '/topics/rhea.b'), {body: 3, durable: true});
    check_equal(await accept_all(two, 1), [3], 'by *');
    check_equal(await accept_all(three, 1), [3], 'by #');
    await pause(100);
    check_equal(one.inbox.length, 0, 'what came by the exact name');
}

async function unroutable(port) {
    const connection = await connect(port);
    const to = await sender(connection, '/exchanges/amq.direct');
    check_equal(await outcome(to, to.send({subject: 'nobody', body: 1})), 'released', 'outcome');
    const link = await receiver(connection, '/exchanges/amq.direct/somebody');
    link.add_credit(5);
    check_equal(await outcome(to, to.send({subject: 'somebody', body: 2})), 'accepted', 'outcome');
    check_equal(await accept_all(link, 1), [2], 'what came');
}

async function durable(port) {
    const container = rhea.create_container({id: 'rhea-reader'});
    const open = async () => {
        const connection = container.connect({host: '127.0.0.1', port, reconnect: false});
        connection.on('disconnected', () => {});
        await event(connection, 'connection_open', 'open');
        return connection;
    };
    const publisher = await connect(port);
    const to = await sender(publisher, '/topics/rhea-durable');
    let connection = await open();
    let link = await receiver(connection, lasting('/topics/rhea-durable'), {name: 'news'});
    check_equal(link.source.expiry_policy, 'never', 'the expiry in force');
    link.detach();
    await event(link, 'receiver_close', 'the answer to detach');
    connection.close();
    await event(connection, 'connection_close', 'close');
    await put(to, {body: 1, durable: true}, {body: 2, durable: true});
    connection = await open();
    link = await receiver(connection, lasting('/topics/rhea-durable'), {name: 'news'});
    link.add_credit(10);
    check_equal(await accept_all(link, 2), [1, 2], 'what was collected');
    link.close();
    await event(link, 'receiver_close', 'the answer to close');
    await put(to, {body: 3, durable: true});
    link = await receiver(connection, lasting('/topics/rhea-durable'), {name: 'news'});
    check_equal((await drain(link)).length, 0, 'what a closed subscription has collected');
    connection.close();
}

async function shared(port) {
    const source = {address: 'rhea-shared', capabilities: ['topic', 'shared', 'global'],
        durable: 2, expiry_policy: 'never'};
    const links = [];
    for (let i = 0; i < 2; i++) {
        const connection = await connect(port);
        links.push(await receiver(connection, source, {name: 'work|global'}));
        links[i].add_credit(100);
    }
    const to = await sender(await connect(port), {address: 'rhea-shared', capabilities: ['topic']});
    for (let i = 0; i < 20; i++) await put(to, {body: i, durable: true});
    await within((async () => {
        while (links[0].inbox.length + links[1].inbox.length < 20) await pause(10);
    })(), '20 messages');
    check(links[0].inbox.length > 0 && links[1].inbox.length > 0, 'one link got everything');
    const all = links.flatMap((link) => bodies(link.inbox)).sort((a, b) => a - b);
    check_equal(all, [...Array(20).keys()], 'all of them, once');
}

run([
    ['topic: a copy for each subscriber', copies],
    ['exchange: unroutable is released', unroutable],
    ['subscription: durable, collects while away, ends by closing', durable],
    ['subscription: shared by two containers', shared],
]);
