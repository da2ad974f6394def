import t from 'tap'
import { Guard } from '../../../deploy/page/guard.ts'

function ask(guard: Guard, path: string, headers: Readonly<Record<string, string>> = {}) {
  return guard.admit(
    new Request(`http://127.0.0.1:8008${path}`, {
      headers: { host: '127.0.0.1:8008', ...headers },
    }),
  )
}

t.test('the link leads to the page once', async (t) => {
  const guard = new Guard()
  const entered = ask(guard, guard.entrance)
  t.equal(entered.kind, 'enter')
  const to = entered.kind === 'enter' ? entered.to : ''
  t.match(to, /^\/[\w-]{43}\/$/)
  t.notOk(to.includes(guard.entrance.slice(7)), 'the session is another secret than the link')
  t.equal(ask(guard, `${to}guests`).kind, 'page')
  t.match(ask(guard, guard.entrance), { kind: 'refused', why: /used already/ })
})

t.test('no guess opens the page', async (t) => {
  const guard = new Guard()
  for (const path of ['/', '/enter/', '/enter/x', '/guests', '/page.js', '/x/', '//', '/%00/']) {
    t.equal(ask(guard, path).kind, 'refused', path)
  }
  t.equal(ask(guard, new Guard().entrance).kind, 'refused', "another page's link")
  t.equal(ask(guard, guard.entrance).kind, 'enter', 'wrong tries use nothing up')
})

t.test('a name of elsewhere that leads here is refused, with the right link too', async (t) => {
  const guard = new Guard()
  for (const host of [
    'evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.1:8008@evil',
    '',
    '10.0.0.1',
  ]) {
    t.equal(ask(guard, guard.entrance, { host }).kind, 'refused', host)
  }
  t.equal(ask(guard, guard.entrance, { host: 'localhost:9000' }).kind, 'enter', 'over ssh -L')
})

t.test('pages of other origins may lead here, and neither read nor embed', async (t) => {
  const guard = new Guard()
  const entered = ask(guard, guard.entrance, {
    'sec-fetch-site': 'cross-site',
    'sec-fetch-dest': 'document',
  })
  const to = entered.kind === 'enter' ? entered.to : ''
  for (const site of ['cross-site', 'same-site']) {
    for (const dest of ['empty', 'script', 'iframe', 'image', 'style']) {
      const headers = { 'sec-fetch-site': site, 'sec-fetch-dest': dest }
      t.equal(ask(guard, to, headers).kind, 'refused', `${site} ${dest}`)
    }
  }
  t.equal(
    ask(guard, to, { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' }).kind,
    'page',
  )
})

t.test('the page only shows', async (t) => {
  const guard = new Guard()
  const request = new Request(`http://127.0.0.1:8008${guard.entrance}`, {
    method: 'POST',
    headers: { host: '127.0.0.1:8008' },
  })
  t.equal(guard.admit(request).kind, 'refused')
})
