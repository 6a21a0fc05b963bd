// What every client here shares: it tells what happens to it as JSON lines on
// standard output and takes orders as JSON lines on standard input.
'use strict';
const readline = require('node:readline');

exports.args = JSON.parse(process.argv[2] ?? '{}');

exports.say = (is, more = {}) => process.stdout.write(JSON.stringify({ is, ...more }) + '\n');

// orders calls handler for each order; the client ends when the test closes its
// input.
exports.orders = (handler = () => {}) => {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => handler(JSON.parse(line)));
  lines.on('close', () => process.exit(0));
};

process.on('unhandledRejection', (error) => {
  exports.say('error', { message: String(error?.stack ?? error) });
});
