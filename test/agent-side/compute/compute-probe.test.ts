import t, { type Test } from 'tap'
import type { AgentConfig } from '../../../agent-side/config/config.ts'
import { ComputeProbe } from '../../../agent-side/compute/compute-probe.ts'
import { SecretAcceptance } from '../../../agent-side/compute/secret-acceptance.ts'
import { RequestSigner } from '../../../agent-side/compute/signed-headers.ts'
import { Upstreams } from '../../../agent-side/compute/upstreams.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { devSecret, runDevCompute } from '../../support/dev-compute.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { until } from '../../support/until.ts'

const longestSilence: AgentConfig['compute']['probe_interval'] = 60_000

async function start(t: Test, current: string, next?: string) {
  const compute = await runDevCompute('{}')
  t.teardown(() => compute.closeAll())
  const clock = new FakeClock()
  const around = { clock, logger: silentLogger }
  const upstreams = new Upstreams({
    urls: [compute.url],
    tls: { insecure: false },
    connections: 4,
    timeoutConnect: 1_000,
    timeoutHeaders: 1_000,
    timeoutBody: 1_000,
    defect: (cause) => t.error(cause),
    ...around,
  })
  const signer = new RequestSigner({
    current: new Secret(current),
    next: next === undefined ? undefined : new Secret(next),
  })
  const acceptance = new SecretAcceptance({ signer, ...around })
  let signedAnswers = 0
  const secrets: Pick<SecretAcceptance, 'note'> = {
    note(...what) {
      signedAnswers += 1
      acceptance.note(...what)
    },
  }
  const probe = new ComputeProbe({ upstreams, signer, secrets, clock, longestSilence })
  probe.start()
  t.teardown(() => {
    probe.close()
    upstreams.close()
  })
  const [upstream] = upstreams.all
  if (upstream === undefined) throw new TypeError('There is no endpoint')
  return { compute, clock, upstream, signedAnswers: () => signedAnswers }
}

t.test('an endpoint that has our secret is known before a guest sends a request', async (t) => {
  const { clock, upstream } = await start(t, devSecret)
  await clock.advance(4_000)
  await until(() => upstream.hasTakenSecret)
  t.equal(upstream.hasRefusedSecrets, false)
  t.equal(upstream.answers, 1, 'the signed request counts for no guest')
})

t.test('an endpoint that refuses our secret is known, and queried until it takes it', async (t) => {
  const { clock, upstream, signedAnswers } = await start(t, 'wrong')
  await clock.advance(4_000)
  await until(() => upstream.hasRefusedSecrets)
  t.equal(upstream.hasTakenSecret, false)
  t.equal(upstream.health.state, 'up', 'it answers')
  await until(async () => {
    await clock.advance(5_000)
    return signedAnswers() === 3
  })
  // As after a guest whose signature it took.
  upstream.hasRefusedSecrets = false
  const { answers } = upstream
  await until(async () => {
    await clock.advance(5_000)
    return upstream.answers === answers + 2
  })
  t.equal(signedAnswers(), 3, 'one that refuses nothing is not asked again')
})

t.test('while the secret is being changed either one is found', async (t) => {
  const { clock, upstream } = await start(t, 'old', devSecret)
  await clock.advance(4_000)
  await until(() => upstream.hasTakenSecret)
  t.equal(upstream.secretSlot, 'next')
  t.equal(upstream.hasRefusedSecrets, false)
})

t.test('an endpoint that is away is queried with its secret once it is there', async (t) => {
  const { clock, upstream, compute } = await start(t, 'wrong')
  const tcpPort = Number(new URL(compute.url).port)
  await compute.closeAll()
  await clock.advance(4_000)
  await until(() => upstream.failures > 0)
  t.equal(upstream.hasRefusedSecrets, false)
  const back = await runDevCompute('{}', undefined, tcpPort)
  t.teardown(() => back.closeAll())
  await until(async () => {
    await clock.advance(5_000)
    return upstream.hasRefusedSecrets
  })
  t.pass()
})
