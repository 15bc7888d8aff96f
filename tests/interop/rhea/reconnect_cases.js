// SPDX-License-Identifier: Apache-2.0
// rhea's own reconnect over a broker that is killed: prints `kill` when it wants that, and run.py
// kills the broker and starts it again on the same port. Every accepted message must come.
'use strict';

const {rhea, check, run, within} = require('./harness.js');

const TOTAL = 20000;
const KILLS = 3;

async function reconnecting(port) {
    const container = rhea.create_container();
    const connection = container.connect({host: '127.0.0.1', port, initial_reconnect_delay: 20,
        max_reconnect_delay: 200});
    const link = connection.open_receiver({source: 'rhea-reconnect', credit_window: 500});
    const to = connection.open_sender({target: 'rhea-reconnect'});
    const in_flight = new Map();  // delivery -> number
    const unsure = [];
    const accepted = new Set();
    const received = new Set();
    let next = 0;
    let asked = 0;
    let connections = 0;
    const finished = new Promise((resolve) => {
        const look = () => {
            if (accepted.size === TOTAL && received.size === TOTAL) resolve();
        };
        const send = () => {
            while (to.sendable() && in_flight.size < 500) {
                const number = unsure.length > 0 ? unsure.pop() : next < TOTAL ? next++ : -1;
                if (number < 0) return;
                in_flight.set(to.send({body: number, durable: true}), number);
            }
        };
        connection.on('connection_open', () => connections++);
        connection.on('disconnected', () => {
            unsure.push(...in_flight.values());
            in_flight.clear();
        });
        to.on('sendable', send);
        to.on('accepted', (context) => {
            const number = in_flight.get(context.delivery);
            if (number === undefined) return;
            in_flight.delete(context.delivery);
            accepted.add(number);
            if (asked < KILLS && accepted.size >= (asked + 1) * TOTAL / (KILLS + 1)) {
                asked++;
                process.stdout.write('kill\n');
            }
            send();
            look();
        });
        link.on('message', (context) => {
            received.add(context.message.body);
            look();
        });
    });
    // rhea forgets what was unsettled when it reconnects, and says so through `released`.
    to.on('released', (context) => {
        const number = in_flight.get(context.delivery);
        if (number === undefined) return;
        in_flight.delete(context.delivery);
        unsure.push(number);
    });
    await within(finished, 'all messages', 120000).catch((error) => {
        throw new Error(`${error.message}: ${accepted.size} accepted, ${received.size} received, ` +
            `${connections} connections`);
    });
    check(connections === KILLS + 1, `${connections} connections for ${KILLS} kills`);
    connection.close();
}

run([['three kills: rhea reconnects, nothing accepted is lost', reconnecting]]);
