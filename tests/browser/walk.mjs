// Walks the ways of signing in as a person does, in a real headless Chromium. Run by tests/browser.rs:
//
//   node walk.mjs <chromium> <pages' URL> <folder for pictures>
//
// Ends with 0 when everything was as it should be; otherwise says what was not, with the page's text.
import { check, go, home, open, phone, sees, shoot, until, wide } from './person.mjs';

/** From an account's page to Entra's, where `person` does `answer`. */
async function atEntra(page, person, answer) {
  await page.goto(`${home}/sign-in/alex`);
  await page.getByRole('button', { name: 'Sign in at Microsoft' }).click();
  await sees(page, 'asks you to sign in');
  check(await page.locator('select[name=user]').inputValue() === 'alex@contoso.com', 'the hint is not taken');
  await page.selectOption('select[name=user]', person);
  await page.getByRole('button', { name: answer }).click();
}

await go({
  async 'whoever is needed is seen at once'() {
    const { context, page, complaints } = await open({});
    await page.goto(home);
    await sees(page, 'Sign Alex in');
    check(!(await page.locator('body').innerText()).includes('graph2mqtt login'), 'a page names a command');
    await shoot(page, 'status-needed');
    await page.getByRole('link', { name: 'Sign Alex in' }).click();
    await sees(page, 'Only alex@contoso.com can sign in here.');
    await shoot(page, 'sign-in');
    return { context, complaints };
  },

  async 'who turns back is told so'() {
    const { context, page, complaints } = await open({});
    await atEntra(page, 'alex@contoso.com', 'Cancel');
    await sees(page, 'broken off on Microsoft');
    await sees(page, 'For administrators: consent at Microsoft');
    await shoot(page, 'turned-back');
    await page.getByRole('link', { name: 'Try again' }).click();
    await sees(page, 'Sign in at Microsoft');
    return { context, complaints };
  },

  async 'an administrator consents, or does not, and is told what comes next'() {
    const { context, page, complaints } = await open({});
    for (const [answer, title, picture] of [
      ['Cancel', 'Consent was not given', 'consent-refused'],
      ['Accept', 'Consent was given', 'consent-given'],
    ]) {
      await atEntra(page, 'alex@contoso.com', 'Cancel');
      await page.getByRole('link', { name: 'For administrators: consent at Microsoft' }).click();
      await sees(page, 'Review for your organization');
      await page.selectOption('select[name=user]', 'kim@contoso.com');
      await page.getByRole('button', { name: answer }).click();
      await sees(page, title);
      await shoot(page, picture);
    }
    await page.setViewportSize(phone);
    await shoot(page, 'consent-given-phone');
    return { context, complaints };
  },

  async 'the wrong person is refused'() {
    const { context, page, complaints } = await open({ viewport: phone });
    await atEntra(page, 'kim@contoso.com', 'Sign in');
    await sees(page, 'kim@contoso.com');
    await sees(page, 'Alex is not signed in');
    await shoot(page, 'wrong-person-phone');
    return { context, complaints };
  },

  async 'a code on another device is shown, and its use noticed'() {
    const { context, page, complaints } = await open({ viewport: phone, colorScheme: 'dark' });
    await page.goto(`${home}/sign-in/alex`);
    await page.getByRole('button', { name: 'Get a code' }).click();
    await sees(page, 'Enter this code at Microsoft');
    await shoot(page, 'code-phone-dark');
    await page.setViewportSize(wide);
    await shoot(page, 'code-dark');
    const code = await page.locator('.code').innerText();
    const [other] = await Promise.all([context.waitForEvent('page'), page.locator('a.button').first().click()]);
    await other.fill('input[name=code]', code);
    await other.selectOption('select[name=user]', 'alex@contoso.com');
    await other.getByRole('button', { name: 'Continue' }).click();
    await sees(other, 'You have signed in');
    await sees(page, 'Signed in as alex@contoso.com');
    await shoot(page, 'code-used-dark');
    return { context, complaints };
  },

  async 'the right person signs in, in the browser'() {
    const { context, page, complaints } = await open({});
    await atEntra(page, 'alex@contoso.com', 'Sign in');
    await sees(page, 'is signed in as alex@contoso.com');
    check(new URL(page.url()).search.startsWith('?back='), `something else in ${page.url()}`);
    await shoot(page, 'signed-in');
    await page.reload();
    await sees(page, 'is signed in as alex@contoso.com');
    await page.getByRole('link', { name: 'How it stands' }).click();
    await sees(page, 'Available, Available');
    await shoot(page, 'status');
    await page.setViewportSize(phone);
    await shoot(page, 'status-phone');
    return { context, complaints };
  },

  async 'without scripts it is a button more'() {
    const { context, page, complaints } = await open({ javaScriptEnabled: false, viewport: phone });
    await atEntra(page, 'alex@contoso.com', 'Sign in');
    await page.getByRole('button', { name: 'Submit' }).click();
    await sees(page, 'is signed in as alex@contoso.com');
    await shoot(page, 'signed-in-phone');
    return { context, complaints };
  },

  async 'whoever may enrols, is seen, and leaves again'() {
    const { context, page, complaints } = await open({ viewport: phone });
    await page.goto(`${home}/enrol`);
    await sees(page, 'For people of contoso.com');
    await shoot(page, 'enrol-phone');
    await page.getByRole('button', { name: 'Sign in at Microsoft and enrol' }).click();
    await sees(page, 'asks you to sign in');
    await page.selectOption('select[name=user]', 'kim@contoso.com');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await sees(page, 'kim@contoso.com is an account now.');
    await shoot(page, 'enrolled-phone');
    await page.setViewportSize(wide);
    await page.goto(home);
    await until(page, 'kim@contoso.com');
    await shoot(page, 'status-enrolled');
    await page.goto(`${home}/leave`);
    await shoot(page, 'leave');
    await page.getByRole('button', { name: 'Sign in at Microsoft and leave' }).click();
    await page.selectOption('select[name=user]', 'kim@contoso.com');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await sees(page, 'kim@contoso.com is no account any more.');
    await shoot(page, 'left');
    return { context, complaints };
  },

  async 'who turns back from enrolling or never did is told so'() {
    const { context, page, complaints } = await open({});
    await page.goto(`${home}/enrol`);
    await page.getByRole('button', { name: 'Sign in at Microsoft and enrol' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await sees(page, 'broken off on Microsoft');
    await shoot(page, 'enrol-turned-back');
    await page.goto(`${home}/leave`);
    await page.getByRole('button', { name: 'Sign in at Microsoft and leave' }).click();
    await page.selectOption('select[name=user]', 'kim@contoso.com');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await sees(page, 'there is nothing to leave');
    return { context, complaints };
  },

  async 'who is configured already is signed in to that account'() {
    const { context, page, complaints } = await open({});
    await page.goto(`${home}/enrol`);
    await page.getByRole('button', { name: 'Sign in at Microsoft and enrol' }).click();
    await page.selectOption('select[name=user]', 'sam@contoso.com');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await sees(page, 'is the account Sam here already');
    await shoot(page, 'enrol-known');
    return { context, complaints };
  },

  async 'the browser keeps its cookie to itself'() {
    const { context, page, complaints } = await open({});
    await page.goto(`${home}/sign-in/alex`);
    const cookies = await context.cookies();
    check(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === 'Lax', JSON.stringify(cookies));
    check(await page.evaluate(() => document.cookie) === '', 'a script can read the cookie');
    return { context, complaints };
  },
});
