// A worker that sent bad JSON, `null`, a wrong type or a line without end to its supervisor ended the supervisor, and could forge any
// metric. Right: that worker is killed, counted and replaced, and the supervisor goes on.
import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { systemClock } from '../../lib/runtime/clock.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import type { WorkerBreach } from '../../proxy/supervisor/worker-process.ts'
import { WorkerPool } from '../../proxy/supervisor/worker-pool.ts'
import { openFolder } from '../support/running-proxy.ts'

const inputs: Readonly<Record<string, { readonly send: string; readonly breach: WorkerBreach }>> = {
  'bad JSON': { send: '"{\\n"', breach: 'nonsense' },
  null: { send: '"null\\n"', breach: 'nonsense' },
  'a wrong type': {
    send: String.raw`'{"kind":"listening","listenerIds":5}\n'`,
    breach: 'nonsense',
  },
  'metrics of nothing': {
    send: String.raw`'{"kind":"metrics","id":1,"metrics":[null]}\n'`,
    breach: 'nonsense',
  },
  'words of Node': { send: String.raw`'{"cmd":"NODE_HANDLE_NACK"}\n'`, breach: 'nonsense' },
  'agents of a wrong type': {
    send: String.raw`'{"kind":"agents","agents":5}\n'`,
    breach: 'nonsense',
  },
  'a record of nothing': {
    send: String.raw`'{"kind":"request-record","id":1,"record":{"at":"x"}}\n'`,
    breach: 'nonsense',
  },
  'a forged metric': {
    send: String.raw`'{"kind":"metrics","id":1,"metrics":[{"name":"overlapd_proxy_namespaces","values":[]}]}\n'`,
    breach: 'nonsense',
  },
  'a line without end': { send: '"x".repeat(2 ** 21)', breach: 'nonsense' },
  'a flood': { send: String.raw`'{"kind":"pong","id":1}\n'.repeat(10_000)`, breach: 'flood' },
}

if (process.platform !== 'linux') t.comment('Workers run on Linux alone: nothing to test here')
else {
  for (const [name, { send, breach }] of Object.entries(inputs)) {
    t.test(`a worker that sends ${name} is killed, counted and replaced`, async (t) => {
      const folder = openFolder(t)
      mkdirSync(folder, { recursive: true })
      const script = join(folder, 'worker.cjs')
      writeFileSync(script, `require('fs').writeSync(5, ${send}); setInterval(() => {}, 1e6)`)
      const breaches: WorkerBreach[] = []
      let replaced: () => void = () => undefined
      const restarts = new Promise<void>((resolve) => (replaced = resolve))
      const pool = new WorkerPool({
        program: { script, nodeOptions: [], account: undefined },
        config: {} as never,
        count: 1,
        clock: systemClock,
        logger: silentLogger,
        onListening: () => t.fail('it has no listener'),
        onRefused: () => t.fail('it has no listener'),
        onRestart: () => replaced(),
        onBreach: (one) => breaches.push(one),
      })
      const alive = setInterval(() => undefined, 60_000)
      pool.start()
      await restarts
      t.equal(breaches[0], breach)
      await pool.close(0)
      clearInterval(alive)
    })
  }
}
