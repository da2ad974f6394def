import t, { type Test } from 'tap'
import { get } from 'node:http'
import { servePage } from '../../../deploy/page/serve-page.ts'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { requestAdmin } from '../../../lib/http/admin-client.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import { madeHealth } from '../../support/made-health.ts'
import {
  playedRequest,
  playedStates,
  playHost,
  type PlayedState,
} from '../../support/played-host.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { until } from '../../support/until.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

function fetchPage(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (incoming) => {
      let body = ''
      incoming.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body, headers: incoming.headers }),
      )
    }).on('error', reject)
  })
}

/** Serves the page of a host in that state, enters it, and gives what reads a view. */
async function open(t: Test, state: PlayedState) {
  const host = await playHost(scratchFolder(t), state)
  t.teardown(() => host.close())
  const page = await servePage({ addresses: host.addresses, hostName: 'host-1' })
  t.teardown(() => page.close())
  const { status, headers } = await fetchPage(page.link)
  t.equal(status, 303)
  const base = new URL(String(headers['location']), page.link).href
  await until(() => host.isWatched())
  return { host, page, base, view: (path: string) => fetchPage(`${base}${path}`) }
}

const expected: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  idle: [
    'Every guest can be served',
    'No guest has been served',
    'No guest is known',
    'The first minute',
  ],
  'guests-3': ['Every guest can be served', 'A guest got its metadata at', '3 guests', '10.0.0.10'],
  'guests-200': [/200 guests,\s+4 shared addresses/, '44 more with 10.0.0.1'],
  'guests-5000': ['5,000 guests', '994 more with', '1,000 of 1,000'],
  refusals: ['Some guests cannot be served', '1 of 6', 'held by pid 812', 'reason?code=no_port'],
  'compute-down': ['No guest can be served', 'ECONNREFUSED', '0 of 1', 'reason?code=no_compute'],
  'secret-wrong': ['No guest can be served', 'refuses our secret', 'metadata_proxy_shared_secret'],
}

for (const [name, state] of Object.entries(playedStates())) {
  t.test(`the overview shows a host that is ${name}`, async (t) => {
    const { view } = await open(t, state)
    const { status, body, headers } = await view('')
    t.equal(status, 200)
    for (const text of expected[name] ?? []) t.match(body, text)
    t.ok(body.length < 200_000, `${body.length} bytes are little enough for a phone`)
    const policy = String(headers['content-security-policy'])
    t.match(policy, "default-src 'none'; script-src 'self'; style-src 'self'")
    t.notMatch(policy, /unsafe|\*|http/)
    t.match(headers, { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
    t.equal(headers['access-control-allow-origin'], undefined)
    t.notMatch(
      body,
      /<script>|<style|\son\w+=|\sstyle=|(?:src|href)="https?:/,
      'nothing inline, nothing from elsewhere',
    )
  })
}

t.test('whatever a tenant wrote is text', async (t) => {
  const evil = `"><script>alert(1)</script>'&\u202E${'x'.repeat(255)}`
  const requests = [
    playedRequest(1, { target: `/${evil}`, instanceId: evil, requestId: evil, sourceIp: evil }),
  ]
  const { host, view } = await open(t, {
    networks: 2,
    guestsPerNetwork: 1,
    hostileName: evil,
    requests,
    refusals: requests,
  })
  host.publish(requests[0]!)
  const id = encodeURIComponent(evil)
  const paths = [
    '',
    'guests',
    `guests?q=${id}`,
    'networks',
    `request?id=${id}`,
    `reason?code=${id}`,
    `guest?scope=router/${id}&ip=${id}`,
    'requests?only=refused',
  ]
  for (const path of paths) {
    const { body } = await view(path)
    t.match(body, '&lt;script&gt;', path)
    t.notMatch(body, '<script>', path)
    // The search field has what was searched for, to be changed.
    t.notMatch(body.replace(/<input[^>]*>/, ''), '\u202E', path)
  }
})

t.test(
  'a request id leads to its explanation, a reason to its meaning, a name to its guests',
  async (t) => {
    const refusals = [
      playedRequest(5, { outcome: 'refused', status: 404, reason: 'no_port', requestId: 'req-1' }),
    ]
    const { view } = await open(t, { networks: 3, guestsPerNetwork: 2, refusals })
    const found = async (text: string) =>
      (await view(`search?q=${encodeURIComponent(text)}`)).headers['location']
    t.equal(await found('req-1'), 'request?id=req-1')
    t.equal(await found('no_port'), 'reason?code=no_port')
    t.equal(await found('secret_refused'), 'reason?code=secret_refused')
    t.equal(await found('10.0.0.11'), 'guests?q=10.0.0.11')
    t.match((await view('request?id=req-1')).body, /Refused[^]*reason\?code=no_port[^]*What to do/)
    t.match((await view('request?id=unknown')).body, 'No daemon of this host knows it')
    t.match((await view('reason?code=no_port')).body, 'Who must act')
    t.match((await view('reason?code=nothing')).body, 'There is no such code')
    t.match((await view('guests?q=10.0.0.11')).body, '3 guests found')
    t.match(
      (await view('guest?scope=network/00000000-0000-4000-8000-000000000001&ip=10.0.0.10')).body,
      'Found',
    )
  },
)

t.test('long lists come in pages', async (t) => {
  const { view } = await open(t, { networks: 130, guestsPerNetwork: 1 })
  t.match((await view('networks')).body, /Page 1 of 3[^]*networks\?page=2/)
  t.match(
    (await view('guests?q=10.0.0.10&page=3')).body,
    /guests\?q=10\.0\.0\.10&amp;page=2[^]*Page 3 of 3/,
  )
  t.equal((await view('networks?page=99')).status, 200)
})

t.test(
  'a request appears on the stream as the row that shows it, and whose it was on its card',
  async (t) => {
    const { host, base, view } = await open(t, { networks: 3, guestsPerNetwork: 1 })
    const reading = new AbortController()
    t.teardown(() => reading.abort())
    const answer = await fetch(`${base}events?only=refused`, { signal: reading.signal })
    t.match(answer.headers.get('content-type'), /^text\/event-stream/)
    host.publish(playedRequest(0))
    host.publish(
      playedRequest(1, { outcome: 'refused', status: 404, reason: 'no_port', requestId: 'bad' }),
    )
    let text = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.includes('event: request')) break
    }
    t.match(text, /request\?id=bad/)
    t.notMatch(text, /meta_data\.json/, 'what was served is not among the refused')
    t.match((await view('guests')).body, /served[^]*12:00:00[^]*404[^]*no_port/)
  },
)

t.test('a path that compute does not have is no refusal; a refusal by compute is', async (t) => {
  const { host, view } = await open(t, { networks: 3, guestsPerNetwork: 1 })
  host.publish(playedRequest(0, { status: 404 }))
  host.publish(playedRequest(1, { status: 403 }))
  await until(async () => (await view('requests')).body.includes('403'))
  const { body } = await view('guests')
  const cards = body.split('class="guest"').slice(1)
  t.match(cards[0], /badge ready[^]*served/)
  t.match(cards[1], /badge not_ready[^]*403[^]*from compute/)
  t.match(cards[2], 'not seen yet')
  const refused = (await view('requests?only=refused')).body
  t.match(refused, 'badge not_ready')
  t.notMatch(refused, /\b404\b/)
})

t.test('without daemons the page shows it, and what to look at', async (t) => {
  const folder = scratchFolder(t)
  const addresses = { proxy: `${folder}/none-1`, agent: `${folder}/none-2` }
  const page = await servePage({ addresses, hostName: 'host-1' })
  t.teardown(() => page.close())
  const { headers } = await fetchPage(page.link)
  const { body } = await fetchPage(new URL(String(headers['location']), page.link).href)
  t.match(body, 'A daemon does not answer')
  t.match(body, /The proxy does not answer[^]*systemctl status overlapd-proxy/)
  t.match(body, 'The agent does not answer')
})

t.test('an agent that is on other hosts is not missed', async (t) => {
  const app = createAdminApp({
    health: () => madeHealth(),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    status: () => ({ agents: [{ agent: 'https://agent-1:9699' }] }),
    history: () => [],
  })
  const folder = scratchFolder(t)
  const addresses = { proxy: `${folder}/proxy`, agent: `${folder}/none` }
  const serving = await serveApp({ app, listen: [{ socket: addresses.proxy }] })
  t.teardown(() => serving.close())
  const page = await servePage({ addresses, hostName: 'host-1' })
  t.teardown(() => page.close())
  const { headers } = await fetchPage(page.link)
  const { body } = await fetchPage(new URL(String(headers['location']), page.link).href)
  t.match(body, 'Every guest can be served')
  t.match(body, /agent: .*not on this host; the proxy uses https:\/\/agent-1:9699/)
  t.notMatch(body, 'does not answer')
})

t.test('only who has the link reads anything, and only by a name of this machine', async (t) => {
  const { page, base } = await open(t, { networks: 1, guestsPerNetwork: 1 })
  t.equal((await fetchPage(page.link)).status, 403)
  for (const path of ['/', '/page.js', '/status', '/events']) {
    const answer = await fetchPage(new URL(path, page.link).href)
    t.equal(answer.status, 403, path)
    t.notMatch(answer.body, '10.0.0.10')
  }
  t.equal((await fetchPage(base, { host: 'rebound.example' })).status, 403)
  t.match(new URL(page.link).hostname, '127.0.0.1')
  t.equal((await requestAdmin(base, base, { json: {} })).status, 403)
})
