// Pairs a hub on its page as a person does, without scripts, in a real headless Chromium. Run by tests/browser.rs,
// which presses the button when the hub has been asked for a while:
//
//   node hub.mjs <chromium> <pages' URL> <folder for pictures> <what is to be walked>
import { check, go, home, open, phone, sees, shoot, wide } from './person.mjs';

const walks = {
  async 'a hub is paired by its button, counted down'() {
    const { context, page, complaints } = await open({ javaScriptEnabled: false, viewport: phone });
    await page.goto(home);
    await sees(page, 'not paired');
    await shoot(page, 'hub-status-phone');
    await page.getByRole('link', { name: 'Pair office' }).click();
    await sees(page, 'Nobody has paired it yet.');
    await shoot(page, 'hub-phone');
    await page.getByRole('button', { name: 'Pair it' }).click();
    await sees(page, 'Press the button on the hub');
    await shoot(page, 'hub-button-phone');
    await page.setViewportSize(wide);
    await shoot(page, 'hub-button');
    const left = async () => parseInt(await page.locator('.code').innerText(), 10);
    const first = await left();
    while (await left() >= first) await new Promise((again) => setTimeout(again, 100));
    await sees(page, 'Paired with Simulated Hue');
    await shoot(page, 'hub-paired');
    await page.goto(home);
    await sees(page, /^paired$/);
    await shoot(page, 'hub-status');
    return { context, complaints };
  },

  async 'a key that the hub forgot is seen and can be mended'() {
    const { context, page, complaints } = await open({ colorScheme: 'dark' });
    await page.goto(home);
    await sees(page, 'key refused');
    await shoot(page, 'hub-refused-dark');
    await page.getByRole('link', { name: 'Pair office' }).click();
    await page.getByRole('button', { name: 'Pair it' }).click();
    await sees(page, 'Paired with Simulated Hue');
    check(await page.getByRole('button', { name: 'Pair it again' }).isVisible(), 'there is no way to pair again');
    await shoot(page, 'hub-paired-dark');
    return { context, complaints };
  },
};

const wanted = process.argv[5];
await go({ [wanted]: walks[wanted] });
