// memjs with a user and a password: argv is HOST:PORT, the user and the password.
'use strict';

const assert = require('assert');
const { Client } = require('memjs');

const [address, username, password] = process.argv.slice(2);
const client = Client.create(address, { username, password, retries: 1, timeout: 5 });

async function run() {
  assert(await client.set('sasl', 'value', { expires: 100 }), 'not stored');
  assert.strictEqual(String((await client.get('sasl')).value), 'value');
  assert(await client.delete('sasl'));
}

run().then(() => process.exit(0), (reason) => {
  console.error(reason);
  process.exit(1);
});
