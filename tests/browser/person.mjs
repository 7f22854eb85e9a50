// What the walks share: a person with a headless Chromium, what she sees, and pictures of it.
import { chromium } from 'playwright-core';
import path from 'node:path';

const [executablePath, home, pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

export { home };
export const phone = { width: 390, height: 844 };
export const wide = { width: 1200, height: 900 };

/** Opens a browser of its own; what it blocks or complains of is a failure. */
export async function open(options) {
  const context = await browser.newContext({ viewport: wide, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('status of 4')) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

export const shoot = (page, name) => page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });

export async function sees(page, words) {
  try {
    await page.getByText(words).first().waitFor();
  } catch {
    throw new Error(`never saw ${words} on ${page.url()}, but:\n${await page.locator('body').innerText()}`);
  }
}

/** Loads the page again until it says so: the program takes a while to notice. */
export async function until(page, words) {
  for (const end = Date.now() + 30_000; Date.now() < end; await page.waitForTimeout(500)) {
    if (await page.getByText(words).count() > 0) return;
    await page.reload();
  }
  throw new Error(`never saw ${words} on ${page.url()}, but:\n${await page.locator('body').innerText()}`);
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** Each walk by its name; a browser that complains is a failure. */
export async function go(walks) {
  try {
    for (const [name, walk] of Object.entries(walks)) {
      const { context, complaints } = await walk();
      check(complaints.length === 0, `the browser complains: ${complaints.join('; ')}`);
      await context.close();
      console.log(`ok: ${name}`);
    }
  } finally {
    await browser.close();
  }
}
