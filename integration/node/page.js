// Opens the example page in Chromium and tells what it shows. The page's script
// comes from the network in real life; here from the package.
'use strict';
const path = require('node:path');
const { chromium } = require('playwright-core');
const { args, say, orders } = require('./lines');

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

(async () => {
  const context = await chromium.launchPersistentContext(args.profile, { executablePath: args.chromium, headless: true, args: flags });
  const page = await context.newPage();
  page.on('console', (message) => process.stderr.write(message.text() + '\n'));
  await page.route('https://cdn.jsdelivr.net/**', (route) => route.fulfill({
    path: path.join(__dirname, 'node_modules', 'autobahn-browser', 'autobahn.min.js'), contentType: 'text/javascript',
  }));
  await page.goto(args.page);
  await page.locator('#state.open').waitFor();
  say('subscribed');
  const item = page.locator('#events li code').first();
  await item.waitFor();
  await page.screenshot({ path: args.picture });
  say('shown', { text: await item.textContent() });
  await context.close();
  say('closed');
})();

orders();
